//! A provider's stream, checked event by event as it goes by.
//!
//! It is handed on only once the answer has begun, with a first token or its end, so that until then another provider
//! can take its place unseen: what opens an answer and says nothing of it is held back. After that another one finishes
//! it where that can be done ([`super::rescue`]). It ends in one of two ways, and says which: the answer is whole, or
//! it broke.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use http::header::CONTENT_TYPE;
use serde::de::IgnoredAny;
use vx11_chassis::sse::{self, Frame, Parser};
use vx11_contracts::chat::Usage;
use vx11_http_client::Response;
use vx11_resilience::Deadline;

use super::Gateway;
use super::attempt::Attempt;
use super::exchange;
use super::progress::Progress;
use super::rescue::{Cause, Rescue};
use crate::accounts::Bill;
use crate::domain::chunk::{BadChunk, Seen, StreamWatch};
use crate::domain::delivered::Delivered;
use crate::domain::failover::{Failure, Tried};
use crate::domain::halves::{Halves, mended};
use crate::domain::operation::Operation;
use crate::domain::outcome::{Health, Outcome};
use crate::domain::routing::Target;
use crate::metrics::ActiveStream;
use crate::providers::Limits;
use crate::wire::{Malformed, Piece, StreamTranslator, Wire};

/// Longest event that is accepted.
const MAX_EVENT: usize = Operation::Chat.answer_limit();
/// Most events, and bytes of them, that are held back until an answer begins; openings are of a few. A response's
/// repeat instructions and tools, twice.
const MOST_HELD: usize = 64;
const MOST_HELD_BYTES: usize = 64 * 1024;
const MOST_HELD_OF_A_RESPONSE: usize = 1024 * 1024;
/// How long the connection of a finished stream may take to come to its own end, after which it is not used again.
const DRAIN: Duration = Duration::from_secs(1);
/// How long a whole answer is waited on for its `[DONE]`, and for what it spent where that was not said yet.
const LAST_WORDS: Duration = Duration::from_millis(100);
const LAST_USAGE: Duration = Duration::from_secs(1);

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

/// A stream of which the first token is in.
#[derive(Debug)]
pub(super) struct Opened {
    source: Source,
    begins_with_token: bool,
    request_id: Option<String>,
    /// What has been read of the answer so far.
    said: Delivered,
}

impl Opened {
    /// Waits for the answer to begin. The caller bounds the wait.
    pub(super) async fn read(
        response: Response,
        choices: u32,
        limits: Limits,
        translation: Translation,
    ) -> Result<Self, Failure> {
        let content_type =
            response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !content_type.starts_with(sse::CONTENT_TYPE) {
            return Err(exchange::no_stream(response, translation.from).await);
        }
        let request_id = exchange::request_id(&response);
        let mut source = Source::new(response, choices, limits, translation);
        let (mut said, mut held, mut bytes) = (Delivered::default(), VecDeque::new(), 0);
        loop {
            match source.next(Some(&mut said)).await {
                Ok(Event::Frame { frame, token }) => {
                    bytes += frame.raw.len();
                    held.push_back(Event::Frame { frame, token });
                    let is_full = held.len() == MOST_HELD || bytes > source.translation.most_held();
                    if token || source.watch.has_spoken() || is_full {
                        source.begin(held, limits.idle);
                        return Ok(Self { source, begins_with_token: token, request_id, said });
                    }
                }
                Ok(Event::Comment(_)) => {}
                Ok(Event::End) => return Err(Failure::new(Outcome::InvalidAnswer, "the stream is empty")),
                Err(outcome) => {
                    let reported = source.reported(request_id.as_deref());
                    return Err(reported.unwrap_or_else(|| Failure::new(outcome, "the stream broke before its answer")));
                }
            }
        }
    }

    /// Whether it is in the caller's own wire, though that is not the pivot.
    pub(super) fn is_native(&self) -> bool {
        self.source.translation.is_native
    }

    /// The first chunk in which the answer was begun.
    pub(super) fn first_chunk(&self) -> &[u8] {
        self.said.first_chunk()
    }

    /// When the stream must be over.
    pub(super) fn total(&self) -> Deadline {
        self.source.total
    }

    /// What was said so far; to be asked for once.
    pub(super) fn take_said(&mut self) -> Delivered {
        std::mem::take(&mut self.said)
    }

    /// Reads what is left, for who wants to know only how it goes, and how far it has `got` until then.
    pub(super) async fn read_to_the_end(mut self, got: &mut Progress) -> Result<(), Outcome> {
        loop {
            let event = self.source.next(None).await;
            *got = self.source.progress();
            match event {
                Ok(Event::End) => return Ok(()),
                Err(_) if self.source.watch.is_complete() => return Ok(()),
                Ok(Event::Frame { .. } | Event::Comment(_)) => {}
                Err(outcome) => return Err(outcome),
            }
        }
    }

    /// Lets the stream end by `total`, if its own limit is later.
    pub(super) fn ends_by(&mut self, total: Deadline) {
        self.source.total = self.source.total.min(total);
    }
}

/// A chat completion as it is written. Dropping it closes the connection to the provider.
#[derive(Debug)]
pub(crate) struct ChatStream {
    leg: Leg,
    /// The first provider's `x-request-id`.
    pub(crate) request_id: Option<String>,
    /// `None` where no other target may finish it.
    rescue: Option<Box<Rescue>>,
    /// How the first provider's stream broke.
    broke: Option<Outcome>,
    /// What was spent, in tokens, where its end has come and no provider has said so of all of it.
    spent: Option<Usage>,
    _active: ActiveStream,
}

impl ChatStream {
    /// The stream that was `opened`; `rescue` finishes it, should it break.
    pub(super) fn begin(
        mut opened: Opened,
        attempt: Attempt,
        rescue: Option<Box<Rescue>>,
        active: ActiveStream,
    ) -> Self {
        let request_id = opened.request_id.take();
        Self { leg: Leg::begin(opened, attempt), request_id, rescue, broke: None, spent: None, _active: active }
    }

    /// Whether what comes now is in the caller's own wire, though that is not the pivot. Another target goes on in the
    /// pivot.
    pub(crate) fn is_native(&self) -> bool {
        self.leg.source.translation.is_native
    }

    /// What the answer has spent, in tokens, once its provider has said so; at the end an estimate where it did not.
    /// Where several have written it, what all of them have spent is known at the end.
    pub(crate) fn usage(&self) -> Option<Usage> {
        let is_of_several = self.rescue.as_ref().is_some_and(|rescue| rescue.is_under_way());
        let reported = if is_of_several { None } else { self.leg.source.watch.usage() };
        reported.map(|reported| reported.usage).or(self.spent)
    }

    /// The event in which the provider says that it gives up, where that is in the caller's own wire.
    pub(crate) fn last_words(&self) -> Option<&Frame> {
        self.leg.source.error.as_ref().filter(|_| self.is_native())
    }

    /// The way to the answer's end, where another target than the first took part.
    pub(crate) fn way(&self) -> Option<(&Gateway, &[Target], &[Tried], &Bill)> {
        let rescue = self.rescue.as_deref().filter(|rescue| rescue.is_under_way())?;
        Some((&rescue.gateway, &rescue.targets, &rescue.tried, &rescue.bill))
    }

    /// What comes next. After [`Step::End`] or [`Step::Broken`] there is nothing more. A call that is dropped half-way
    /// may give up the provider that was about to take over.
    pub(crate) async fn next(&mut self) -> Step {
        loop {
            let cause = match self.advance().await {
                Ok(Some(step)) => return step,
                Ok(None) => continue,
                Err(cause) => cause,
            };
            self.leg.fail(cause);
            if let Cause::Broke(outcome) = cause {
                self.broke.get_or_insert(outcome);
            }
            let rescued = match &mut self.rescue {
                // In a box, because it is seldom needed, and every event would carry it.
                Some(rescue) => Box::pin(rescue.take_over(cause)).await.ok(),
                None => None,
            };
            match rescued {
                Some((opened, attempt)) => self.leg = Leg::begin(opened, attempt),
                None => return Step::Broken(self.broke.unwrap_or(Outcome::InvalidAnswer)),
            }
        }
    }

    /// One look at the provider's stream. `None`: nothing that the caller does not have.
    async fn advance(&mut self) -> Result<Option<Step>, Cause> {
        if self.leg.attempt.is_none() {
            return Ok(Some(Step::End));
        }
        let event = self.leg.next(self.rescue.as_mut().and_then(|rescue| rescue.delivered())).await;
        match (event, &mut self.rescue) {
            (Ok(Event::Frame { frame, .. }), Some(rescue)) => {
                Ok(rescue.rewrite(frame).map_err(Cause::Misfit)?.map(Step::Frame))
            }
            (Ok(Event::Frame { frame, .. } | Event::Comment(frame)), _) => Ok(Some(Step::Frame(frame))),
            (Ok(Event::End), Some(rescue)) if rescue.is_under_way() && !rescue.is_whole() => {
                Err(Cause::Broke(Outcome::StreamCut))
            }
            (Ok(Event::End), _) => Ok(Some(self.finish())),
            // Nothing of the answer is missing, however the connection ended.
            (Err(_), _) if self.leg.source.watch.is_complete() => Ok(Some(self.finish())),
            (Err(outcome), _) => Err(Cause::Broke(outcome)),
        }
    }

    /// Gives the stream up: its reader cannot make sense of an event that was well formed.
    pub(crate) fn reject(&mut self) {
        self.leg.fail(Cause::Broke(Outcome::InvalidAnswer));
    }

    /// The answer is whole; one that several have written has a last event of the gateway's own.
    fn finish(&mut self) -> Step {
        let estimate = self.leg.attempt.as_ref().and_then(Attempt::estimate);
        self.leg.succeed();
        match &mut self.rescue {
            Some(rescue) if rescue.is_under_way() => {
                rescue.finished();
                self.spent = Some(rescue.bill.tokens().into());
                rescue.last().map_or(Step::End, Step::Frame)
            }
            _ => {
                self.spent = estimate.map(Usage::from);
                Step::End
            }
        }
    }
}

/// One provider's part in a stream.
#[derive(Debug)]
struct Leg {
    source: Source,
    /// `None` once it has ended.
    attempt: Option<Attempt>,
}

impl Leg {
    fn begin(opened: Opened, mut attempt: Attempt) -> Self {
        let Opened { source, begins_with_token, .. } = opened;
        attempt.stream_begun();
        attempt.streamed(begins_with_token, source.progress());
        Self { source, attempt: Some(attempt) }
    }

    async fn next(&mut self, delivered: Option<&mut Delivered>) -> Result<Event, Outcome> {
        let event = self.source.next(delivered).await?;
        if let (Event::Frame { token, frame }, Some(attempt)) = (&event, &mut self.attempt) {
            attempt.streamed(*token, self.source.progress());
            if self.source.watch.is_complete() {
                attempt.ends_with(frame.data());
            }
        }
        Ok(event)
    }

    fn succeed(&mut self) {
        if let Some(response) = self.source.response.take() {
            drain(response);
        }
        if let Some(attempt) = self.attempt.take() {
            attempt.succeeded();
        }
    }

    fn fail(&mut self, cause: Cause) {
        self.source.response = None;
        let Some(mut attempt) = self.attempt.take() else { return };
        // Who gives an answer up may say what it has spent.
        attempt.streamed(false, self.source.progress());
        let Cause::Broke(outcome) = cause else { return attempt.set_aside() };
        let failure = Failure::new(outcome, "the stream broke within its answer");
        let proves_nothing = match outcome {
            // A stream that is cut off at the gateway's own limit was alive until then.
            Outcome::Timeout => true,
            Outcome::Stalled => self.source.is_hurried,
            _ => false,
        };
        let health = if proves_nothing { Health::Unknown } else { failure.health };
        attempt.failed(&mut Failure { health, ..failure });
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

/// How the events of a stream become chunks, and which of the two are handed on.
#[derive(Debug)]
pub(super) struct Translation {
    from: Wire,
    /// `None`: they are chunks.
    translator: Option<StreamTranslator>,
    /// The events are handed on as they came; the chunks are only watched.
    is_native: bool,
}

impl Translation {
    /// Of a stream in the wire `from`, for a reader of the wire `to` or of the pivot.
    pub(super) fn new(from: Wire, to: Wire) -> Self {
        let translator = StreamTranslator::new(from, exchange::unix_seconds());
        Self { from, is_native: translator.is_some() && from == to, translator }
    }

    /// Bytes that are held back at most.
    fn most_held(&self) -> usize {
        if self.from == Wire::Responses { MOST_HELD_OF_A_RESPONSE } else { MOST_HELD_BYTES }
    }
}

/// The bytes of a stream, cut into events and watched.
#[derive(Debug)]
struct Source {
    translation: Translation,
    /// What was held back, and what the last event of the provider's has become; a few at most.
    ready: VecDeque<Event>,
    /// `None` once it has ended.
    response: Option<Response>,
    parser: Parser,
    watch: StreamWatch,
    halves: Halves,
    idle: Duration,
    /// Whether its caller allows less silence than the provider has.
    is_hurried: bool,
    /// How long it took to get what was read since the last event.
    waited: Duration,
    /// How long nothing came but comments and pings.
    silence: Duration,
    total: Deadline,
    /// What the provider says in place of an answer.
    error: Option<Frame>,
    /// Whether a malformed event may be left out: one may, between two that are well formed.
    lenient: bool,
    /// Whether one was.
    left_out: bool,
}

impl Source {
    fn new(response: Response, choices: u32, limits: Limits, translation: Translation) -> Self {
        Self {
            translation,
            ready: VecDeque::new(),
            response: Some(response),
            parser: Parser::new(MAX_EVENT),
            watch: StreamWatch::new(choices),
            halves: Halves::default(),
            idle: limits.stream,
            is_hurried: limits.is_hurried,
            waited: Duration::ZERO,
            silence: Duration::ZERO,
            total: Deadline::after(limits.stream),
            error: None,
            lenient: false,
            left_out: false,
        }
    }

    /// The answer has begun: what was `held` back comes first, and from now on silence is measured between events.
    fn begin(&mut self, mut held: VecDeque<Event>, idle: Duration) {
        held.append(&mut self.ready);
        self.ready = held;
        self.idle = idle;
        self.hear();
    }

    /// What the provider reports in place of an answer, where it does.
    fn reported(&self, request_id: Option<&str>) -> Option<Failure> {
        let frame = self.error.as_ref()?;
        exchange::reported(frame.data(), frame.event() == Some("error"), self.translation.from, request_id)
    }

    /// The next event; what it says of the answer is added to `delivered`.
    async fn next(&mut self, mut delivered: Option<&mut Delivered>) -> Result<Event, Outcome> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(frame) = self.parser.next_frame().map_err(|_| Outcome::AnswerTooLarge)? {
                if frame.is_blank() {
                    continue;
                }
                if self.translation.translator.is_some() && !frame.data().is_empty() {
                    self.translate(frame, delivered.as_deref_mut())?;
                    continue;
                }
                match self.look_at(frame, delivered.as_deref_mut())? {
                    Some(event) => return Ok(event),
                    None => continue,
                }
            }
            let wait = self.total.earlier_of(self.patience());
            let Some(response) = &mut self.response else {
                return if self.watch.is_complete() { Ok(Event::End) } else { Err(Outcome::StreamCut) };
            };
            let begun = Instant::now();
            let came = wait.run(response.chunk()).await;
            self.waited += begun.elapsed();
            match came {
                Err(_) if self.total.is_expired() => return Err(Outcome::Timeout),
                Err(_) => return Err(Outcome::Stalled),
                Ok(Err(_)) => return Err(Outcome::StreamCut),
                Ok(Ok(Some(chunk))) => self.parser.push(&chunk),
                Ok(Ok(None)) => {
                    self.response = None;
                    self.parser.end();
                }
            }
        }
    }

    /// How far it has got, in tokens.
    fn progress(&self) -> Progress {
        Progress {
            written: self.watch.tokens_written(),
            reported: self.watch.tokens(),
            so_far: self.translation.translator.as_ref().and_then(StreamTranslator::so_far),
        }
    }

    /// A part of the answer came.
    fn hear(&mut self) {
        (self.waited, self.silence) = (Duration::ZERO, Duration::ZERO);
    }

    /// Something came that says nothing of the answer. Only the wait for it counts as silence: a reader who is slow, or
    /// an event that comes in parts, does not make a provider silent.
    fn hear_nothing(&mut self) {
        self.silence += std::mem::take(&mut self.waited);
    }

    /// How long the next chunk is waited for.
    fn patience(&self) -> Duration {
        match self.watch.is_complete() {
            false => self.idle.saturating_sub(self.silence),
            true if self.watch.usage().is_some() => self.idle.min(LAST_WORDS),
            true => self.idle.min(LAST_USAGE),
        }
    }

    /// Looks at an event of another wire by way of the chunks that it becomes.
    fn translate(&mut self, frame: Frame, mut delivered: Option<&mut Delivered>) -> Result<(), Outcome> {
        let Some(translator) = &mut self.translation.translator else { return Ok(()) };
        let is_error = frame.event() == Some("error");
        let pieces = if is_error { Err(Malformed) } else { translator.push(&mended(frame.data())) };
        let Ok(pieces) = pieces else {
            // What is readable is the provider's own word for a failure, and none that may be left out.
            let is_garbage = !is_error && serde_json::from_slice::<IgnoredAny>(frame.data()).is_err();
            self.error = Some(frame).filter(|_| !is_garbage);
            return self.leave_out(is_garbage);
        };
        if pieces.is_empty() {
            self.hear_nothing();
        }
        // An event that is nothing but the mark at the end is the reader's to write.
        let is_mark = matches!(pieces.as_slice(), [Piece::Done]);
        let (mut says_something, mut is_done) = (false, false);
        for piece in pieces {
            match piece {
                Piece::Chunk(chunk) => match self.look_at(Frame::of(&chunk), delivered.as_deref_mut()) {
                    Ok(Some(Event::Frame { token, .. })) if self.translation.is_native => says_something |= token,
                    Ok(event) => self.ready.extend(event),
                    Err(outcome) => {
                        self.error = Some(frame);
                        return Err(outcome);
                    }
                },
                Piece::Unsaid => {
                    self.hear();
                    says_something = true;
                }
                Piece::Done => is_done = true,
            }
        }
        if is_done {
            self.end()?;
        }
        if self.translation.is_native && !is_mark {
            self.ready.push_back(Event::Frame { frame, token: says_something });
        }
        self.ready.extend(is_done.then_some(Event::End));
        Ok(())
    }

    /// `None`: a malformed event that is left out.
    fn look_at(&mut self, frame: Frame, delivered: Option<&mut Delivered>) -> Result<Option<Event>, Outcome> {
        let is_error = frame.event() == Some("error");
        let joined = if is_error { None } else { self.halves.join(frame.data()) };
        let frame = joined.map_or(frame, |chunk| Frame::of(&chunk));
        match self.watch.observe(frame.data(), delivered.filter(|_| !is_error)) {
            Ok(Seen::Chunk { token }) if !is_error => {
                self.lenient = true;
                self.hear();
                Ok(Some(Event::Frame { frame, token }))
            }
            Ok(Seen::Nothing) => {
                self.hear_nothing();
                Ok(Some(Event::Comment(frame)))
            }
            Ok(Seen::Done) => self.end().map(|()| Some(Event::End)),
            Ok(Seen::GivenUp) => Err(Outcome::StreamCut),
            Ok(Seen::Error | Seen::Chunk { .. }) => {
                self.error = Some(frame);
                self.leave_out(false).map(|()| None)
            }
            Err(BadChunk) => {
                self.error = is_error.then_some(frame);
                self.leave_out(!is_error).map(|()| None)
            }
        }
    }

    /// The provider says that nothing follows.
    fn end(&self) -> Result<(), Outcome> {
        // Some end every stream so, those that were cut as well. What was left out may have been the end of the answer.
        let is_cut = self.watch.is_cut_short() || (self.left_out && !self.watch.is_complete());
        if is_cut { Err(Outcome::StreamCut) } else { Ok(()) }
    }

    /// Does without an event that is no part of an answer, where that is `possible`.
    fn leave_out(&mut self, possible: bool) -> Result<(), Outcome> {
        if self.response.is_none() {
            // Half an event at the end is a cut.
            return Err(Outcome::StreamCut);
        }
        if !possible || !self.lenient {
            return Err(Outcome::InvalidAnswer);
        }
        self.lenient = false;
        self.left_out = true;
        tracing::warn!("a malformed event of a stream was left out");
        Ok(())
    }
}
