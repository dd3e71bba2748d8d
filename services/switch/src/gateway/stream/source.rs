//! The bytes of one provider's stream: cut into events, translated where that is needed, and watched for what they say of the
//! answer, for silence, and for what is no part of an answer. What follows from that is not decided here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use vx11_chassis::sse::{Frame, Parser};
use vx11_contracts::headers::COST_USD;
use vx11_http_client::Response;
use vx11_resilience::Deadline;

use super::translation::Translation;
use crate::domain::chunk::{BadChunk, Seen, StreamWatch};
use crate::domain::delivered::Delivered;
use crate::domain::failover::Failure;
use crate::domain::halves::{Halves, mended};
use crate::domain::operation::Operation;
use crate::domain::outcome::Outcome;
use crate::gateway::exchange;
use crate::gateway::progress::Progress;
use crate::gateway::uncounted::Wrote;
use crate::providers::Limits;
use crate::wire::{Malformed, Piece, StreamTranslator, Wire};

/// Longest event that is accepted.
const MAX_EVENT: usize = Operation::Chat.answer_limit();
/// How long a whole answer is waited on for its `[DONE]`, and one that was given up for what it has spent.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// And for what it has spent, where that was not said yet.
const LAST_USAGE: Duration = Duration::from_secs(1);

/// What one look at the provider's stream gave.
#[derive(Debug)]
pub(super) enum Event {
    Frame { frame: Frame, token: bool },
    Comment(Frame),
    End,
}

/// The bytes of a stream, cut into events and watched.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) translation: Translation,
    /// What was held back, and what the last event of the provider's has become; a few at most.
    ready: VecDeque<Event>,
    /// `None` once it has ended.
    pub(super) response: Option<Response>,
    parser: Parser,
    pub(super) watch: StreamWatch,
    halves: Halves,
    idle: Duration,
    /// Whether its caller allows less silence than the provider has.
    pub(super) is_hurried: bool,
    /// How long it took to get what was read since the last event.
    waited: Duration,
    /// How long nothing came but comments and pings.
    silence: Duration,
    pub(super) total: Deadline,
    /// What the provider says in place of an answer.
    pub(super) error: Option<Frame>,
    /// Whether it has said so in an event after which another one may say what was spent.
    is_ending: bool,
    /// Whether a malformed event may be left out: one may, between two that are well formed.
    lenient: bool,
    /// Whether one was.
    left_out: bool,
}

impl Source {
    pub(super) fn new(response: Response, choices: u32, limits: Limits, translation: Translation) -> Self {
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
            is_ending: false,
            lenient: false,
            left_out: false,
        }
    }

    /// The answer has begun: what was `held` back comes first, and from now on silence is measured between events.
    pub(super) fn begin(&mut self, mut held: VecDeque<Event>, idle: Duration) {
        held.append(&mut self.ready);
        self.ready = held;
        self.idle = idle;
        self.hear();
    }

    /// What the provider reports in place of an answer, where it does.
    pub(super) fn reported(&self, request_id: Option<&str>) -> Option<Failure> {
        let frame = self.error.as_ref()?;
        exchange::reported(frame.data(), frame.event() == Some("error"), self.translation.from, request_id)
    }

    /// The next event; what it says of the answer is added to `delivered`.
    pub(super) async fn next(&mut self, mut delivered: Option<&mut Delivered>) -> Result<Event, Outcome> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(event);
            }
            if let Some(frame) = self.parser.next_frame().map_err(|_| Outcome::AnswerTooLarge)? {
                if frame.is_blank() {
                    continue;
                }
                if self.is_ending && !frame.data().is_empty() {
                    self.read_last_usage(&frame);
                    return Err(Outcome::InvalidAnswer);
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
            let Some(response) = self.response.as_mut() else {
                if self.is_ending {
                    return Err(Outcome::InvalidAnswer);
                }
                return if self.watch.is_complete() { Ok(Event::End) } else { Err(Outcome::StreamCut) };
            };
            let begun = Instant::now();
            if self.total.has_passed_by(begun) {
                // What is there at once would be taken for ever: a provider may write faster than it is read.
                return Err(Outcome::Timeout);
            }
            let came = wait.run(response.chunk()).await;
            self.waited += begun.elapsed();
            match came {
                Err(_) | Ok(Err(_)) if self.is_ending => return Err(Outcome::InvalidAnswer),
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
    pub(super) fn progress(&self) -> Progress {
        Progress {
            written: self.watch.tokens_written(),
            reported: self.watch.tokens(),
            so_far: self.translation.translator.as_ref().and_then(StreamTranslator::so_far),
        }
    }

    /// What was written, where that was kept; to be asked for once.
    pub(super) fn wrote(&mut self) -> Wrote {
        self.watch.take_written().map_or(Wrote::Nothing, |written| Wrote::Stream(written.into()))
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
            false if self.is_ending => self.idle.min(LAST_WORDS).saturating_sub(self.silence),
            false => self.idle.saturating_sub(self.silence),
            true if self.watch.usage().is_some() => self.idle.min(LAST_WORDS),
            true => self.idle.min(LAST_USAGE),
        }
    }

    /// Looks at an event of another wire by way of the chunks that it becomes.
    fn translate(&mut self, frame: Frame, mut delivered: Option<&mut Delivered>) -> Result<(), Outcome> {
        let Some(translator) = &mut self.translation.translator else { return Ok(()) };
        let is_error = frame.event() == Some("error");
        if is_error && self.translation.from == Wire::Responses && self.lenient {
            // A response that was begun ends as a failed one, which says what it took.
            (self.error, self.is_ending) = (Some(frame), true);
            self.hear();
            return Ok(());
        }
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
                    // Of a message it is a block of its own, behind which there is room for text.
                    if let (Wire::Responses, Some(delivered)) = (self.translation.from, delivered.as_deref_mut()) {
                        delivered.add_unsaid();
                    }
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

    /// Takes note of what was spent, where the last event of an answer that was given up says so.
    fn read_last_usage(&mut self, frame: &Frame) {
        let pieces = self.translation.translator.as_mut().map(|translator| translator.push(frame.data()));
        for piece in pieces.and_then(Result::ok).unwrap_or_default() {
            if let Piece::Chunk(chunk) = piece {
                // How it ends is known.
                let _ = self.watch.observe(Frame::of(&chunk).data(), None);
            }
        }
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
                // Another VX11's word for what it was paid; the caller hears this one's.
                let is_cost = frame.raw.strip_prefix(b": ").is_some_and(|said| said.starts_with(COST_USD.as_bytes()));
                Ok((!is_cost).then_some(Event::Comment(frame)))
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
