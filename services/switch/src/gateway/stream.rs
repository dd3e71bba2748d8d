//! A provider's stream, checked event by event as it goes by.
//!
//! It is handed on only once its first event is in, so that until then another provider can take its place unseen. After
//! that it ends in one of two ways, and says which: the answer is whole, or it broke.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::FutureExt;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use vx11_chassis::sse::{self, Frame, Parser};
use vx11_resilience::Deadline;

use super::attempt::Attempt;
use super::exchange;
use crate::domain::chunk::{Seen, StreamWatch};
use crate::domain::failover::Failure;
use crate::domain::outcome::{Health, Outcome};
use crate::domain::request::ChatRequest;
use crate::metrics::ActiveStream;
use crate::providers::Limits;
use crate::wire::{Piece, StreamTranslator, Wire};

/// Longest event that is accepted.
const MAX_EVENT: usize = 1024 * 1024;
/// How long the connection of a finished stream may take to come to its own end, after which it is not used again.
const DRAIN: Duration = Duration::from_secs(1);

/// What comes next of a stream.
#[derive(Debug)]
pub(crate) enum Step {
    /// A well-formed event of the answer, or a comment.
    Frame(Frame),
    /// The answer is whole. The mark at the end is the reader's to write.
    End,
    /// The answer will not be finished.
    Broken(Outcome),
}

/// What one look at the provider's stream gave.
#[derive(Debug)]
enum Event {
    Frame { frame: Frame, token: bool },
    Comment(Frame),
    End,
}

/// A stream whose first event is in.
#[derive(Debug)]
pub(super) struct Opened {
    source: Source,
    first: Frame,
    first_is_token: bool,
    request_id: Option<String>,
}

impl Opened {
    /// Waits for the first event. The caller bounds the wait.
    pub(super) async fn read(
        response: Response,
        choices: u32,
        limits: Limits,
        translation: Translation,
    ) -> Result<Self, Failure> {
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with(sse::CONTENT_TYPE) {
            return Err(Failure::new(Outcome::InvalidAnswer, format!("a stream was asked for, `{content_type}` came")));
        }
        let request_id = exchange::request_id(&response);
        let mut source = Source::new(response, choices, limits, translation);
        loop {
            match source.next().await {
                Ok(Event::Frame { frame, token }) => {
                    // From now on silence is measured between events.
                    source.idle = limits.idle;
                    return Ok(Self { source, first: frame, first_is_token: token, request_id });
                }
                Ok(Event::Comment(_)) => {}
                Ok(Event::End) => return Err(Failure::new(Outcome::InvalidAnswer, "the stream is empty")),
                Err(outcome) => return Err(Failure::new(outcome, "the stream broke before its first event")),
            }
        }
    }
}

/// A chat completion as it is written. Dropping it closes the connection to the provider.
#[derive(Debug)]
pub(crate) struct ChatStream {
    source: Source,
    /// `None` once the stream has ended.
    attempt: Option<Attempt>,
    first: Option<Frame>,
    /// The provider's `x-request-id`.
    pub(crate) request_id: Option<String>,
    _active: ActiveStream,
}

impl ChatStream {
    pub(super) fn begin(opened: Opened, mut attempt: Attempt, active: ActiveStream) -> Self {
        let Opened { source, first, first_is_token, request_id } = opened;
        attempt.stream_begun();
        attempt.streamed(first_is_token, source.watch.tokens_written(), source.watch.usage());
        Self { source, attempt: Some(attempt), first: Some(first), request_id, _active: active }
    }

    /// What the provider says was spent, once it has.
    pub(crate) fn usage(&self) -> Option<vx11_contracts::chat::Usage> {
        self.source.watch.usage()
    }

    /// Whether its events are in the caller's own wire, though that is not the pivot.
    pub(crate) fn is_native(&self) -> bool {
        self.source.translation.is_native
    }

    /// What comes next. After [`Step::End`] or [`Step::Broken`] there is nothing more.
    pub(crate) async fn next(&mut self) -> Step {
        if let Some(frame) = self.first.take() {
            return Step::Frame(frame);
        }
        let outcome = match self.source.next().await {
            Ok(Event::Frame { frame, token }) => {
                if let Some(attempt) = &mut self.attempt {
                    attempt.streamed(token, self.source.watch.tokens_written(), self.source.watch.usage());
                }
                return Step::Frame(frame);
            }
            Ok(Event::Comment(frame)) => return Step::Frame(frame),
            Ok(Event::End) => Outcome::Success,
            // Nothing of the answer is missing, however the connection ended.
            Err(_) if self.source.watch.is_complete() => Outcome::Success,
            Err(outcome) => outcome,
        };
        self.end(outcome)
    }

    /// Gives the stream up: its reader cannot make sense of an event that was well formed.
    pub(crate) fn reject(&mut self) {
        self.end(Outcome::InvalidAnswer);
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        let response = self.source.response.take();
        if outcome == Outcome::Success {
            if let Some(response) = response {
                drain(response);
            }
            if let Some(attempt) = self.attempt.take() {
                attempt.succeeded();
            }
            return Step::End;
        }
        if let Some(attempt) = self.attempt.take() {
            let failure = Failure::new(outcome, "the stream broke after its first event");
            // A stream that is cut off at the gateway's own limit was alive until then.
            let health = if outcome == Outcome::Timeout { Health::Unknown } else { failure.health };
            attempt.failed(&Failure { health, ..failure });
        }
        Step::Broken(outcome)
    }
}

/// Reads a finished stream to its end, which gives the connection back to the client's pool.
fn drain(mut response: Response) {
    let mut to_the_end = Box::pin(async move { while let Ok(Some(_)) = response.chunk().await {} });
    // Usually the end came along with the last event.
    if to_the_end.as_mut().now_or_never().is_none() {
        tokio::spawn(tokio::time::timeout(DRAIN, to_the_end));
    }
}

/// How the events of a stream become chunks, and which of the two the caller wants.
#[derive(Debug)]
pub(super) struct Translation {
    /// `None`: they are chunks.
    translator: Option<StreamTranslator>,
    /// The caller speaks the provider's wire, so that it gets the events as they came; the chunks are only watched.
    is_native: bool,
}

impl Translation {
    /// For the answer to `request` of a provider that speaks `wire`.
    pub(super) fn new(request: &ChatRequest, wire: Wire) -> Self {
        let translator = StreamTranslator::new(wire, exchange::unix_seconds(), request.usage_chunk);
        Self { is_native: translator.is_some() && wire == request.wire, translator }
    }
}

/// The bytes of a stream, cut into events and watched.
#[derive(Debug)]
struct Source {
    translation: Translation,
    /// What the last event of the provider's has become; a few at most.
    translated: VecDeque<Event>,
    /// `None` once it has ended.
    response: Option<Response>,
    parser: Parser,
    watch: StreamWatch,
    idle: Duration,
    total: Deadline,
}

impl Source {
    fn new(response: Response, choices: u32, limits: Limits, translation: Translation) -> Self {
        Self {
            translation,
            translated: VecDeque::new(),
            response: Some(response),
            parser: Parser::new(MAX_EVENT),
            watch: StreamWatch::new(choices),
            idle: limits.stream,
            total: Deadline::after(limits.stream),
        }
    }

    async fn next(&mut self) -> Result<Event, Outcome> {
        loop {
            if let Some(event) = self.translated.pop_front() {
                return Ok(event);
            }
            if let Some(frame) = self.parser.next_frame().map_err(|_| Outcome::InvalidAnswer)? {
                if self.translation.translator.is_none() || frame.data().is_empty() {
                    return self.look_at(frame);
                }
                self.translate(frame)?;
                continue;
            }
            let Some(response) = &mut self.response else {
                return if self.watch.is_complete() { Ok(Event::End) } else { Err(Outcome::StreamCut) };
            };
            let wait = self.total.earlier_of(self.idle);
            match wait.run(response.chunk()).await {
                Err(_) if self.total.is_expired() => return Err(Outcome::Timeout),
                Err(_) => return Err(Outcome::Stalled),
                Ok(Err(_)) => return Err(Outcome::StreamCut),
                Ok(Ok(Some(chunk))) => self.parser.push(&chunk),
                Ok(Ok(None)) => {
                    self.response = None;
                    // The last event may lack its blank line.
                    self.parser.push(b"\n\n");
                }
            }
        }
    }

    /// Looks at an event of another wire by way of the chunks that it becomes.
    fn translate(&mut self, frame: Frame) -> Result<(), Outcome> {
        let Some(translator) = &mut self.translation.translator else { return Ok(()) };
        let pieces = match translator.push(frame.data()) {
            Ok(pieces) => pieces,
            // Half an event at the end is a cut.
            Err(_) if self.response.is_none() => return Err(Outcome::StreamCut),
            Err(_) => return Err(Outcome::InvalidAnswer),
        };
        let (mut says_something, mut is_done) = (false, false);
        for piece in pieces {
            match piece {
                Piece::Chunk(chunk) => match self.look_at(Frame::of(&chunk))? {
                    Event::Frame { token, .. } if self.translation.is_native => says_something |= token,
                    event => self.translated.push_back(event),
                },
                Piece::Done => is_done = true,
            }
        }
        if is_done {
            self.translated.push_back(Event::End);
        } else if self.translation.is_native {
            self.translated.push_back(Event::Frame { frame, token: says_something });
        }
        Ok(())
    }

    fn look_at(&mut self, frame: Frame) -> Result<Event, Outcome> {
        let is_error = frame.event() == Some("error");
        match self.watch.observe(frame.data()) {
            Ok(Seen::Chunk { token }) if !is_error => Ok(Event::Frame { frame, token }),
            Ok(Seen::Nothing) => Ok(Event::Comment(frame)),
            Ok(Seen::Done) => Ok(Event::End),
            // Half an event at the end is a cut.
            _ if self.response.is_none() => Err(Outcome::StreamCut),
            _ => Err(Outcome::InvalidAnswer),
        }
    }
}
