//! A streamed answer, wherever it comes from: its own provider, another request's call, or what is kept.

use std::collections::VecDeque;

use vx11_chassis::sse::{Frame, Parser};
use vx11_contracts::chat::Usage;
use vx11_resilience::Deadline;

use super::Gateway;
use super::stream::{ChatStream, Step};
use crate::accounts::Bill;
use crate::cache::{End, Entry, Kind, Landed, Next, Said, Seat, chunks};
use crate::domain::answer;
use crate::domain::failover::Tried;
use crate::domain::outcome::Outcome;
use crate::domain::routing::Target;

/// A chat completion as its caller gets it, piece by piece.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one, and must cost no allocation")]
pub(crate) enum AnswerStream {
    /// Written for this request alone.
    Live(ChatStream),
    /// Written for all who ask the same.
    Shared(Box<SharedStream>),
    /// Written before.
    Kept(Box<Replay>),
}

impl AnswerStream {
    /// The provider's `x-request-id`, where it was asked for this request.
    pub(crate) fn request_id(&self) -> Option<&str> {
        match self {
            Self::Live(stream) => stream.request_id.as_deref(),
            Self::Shared(stream) => stream.request_id.as_deref(),
            Self::Kept(replay) => replay.request_id.as_deref(),
        }
    }

    /// What comes next. After [`Step::End`] or [`Step::Broken`] there is nothing more.
    pub(crate) async fn next(&mut self) -> Step {
        match self {
            Self::Live(stream) => stream.next().await,
            Self::Shared(stream) => stream.next().await,
            Self::Kept(replay) => replay.chunks.pop_front().map_or(Step::End, Step::Frame),
        }
    }

    /// What the caller received, in tokens, once it is known.
    pub(crate) fn usage(&self) -> Option<Usage> {
        match self {
            Self::Live(stream) => stream.usage(),
            Self::Shared(stream) => stream.said.usage,
            Self::Kept(replay) => replay.usage,
        }
    }

    /// Whether what came last is in the caller's own wire, though that is not the pivot.
    pub(crate) fn is_native(&self) -> bool {
        match self {
            Self::Live(stream) => stream.is_native(),
            Self::Shared(stream) => stream.said.is_native,
            Self::Kept(replay) => replay.is_native,
        }
    }

    /// Whether another target than the first may finish it, should it break.
    pub(crate) fn may_be_rescued(&self) -> bool {
        matches!(self, Self::Live(stream) if stream.may_be_rescued())
    }

    /// The way to the answer's end, where another target than the first took part and this request asked it.
    pub(crate) fn way(&self) -> Option<(&Gateway, &[Target], &[Tried], &Bill)> {
        match self {
            Self::Live(stream) => stream.way(),
            Self::Shared(_) | Self::Kept(_) => None,
        }
    }

    /// Whether this request, which has waited long enough, pays for a call that others still wait for.
    pub(crate) fn goes_on_for_others(&self) -> bool {
        matches!(self, Self::Shared(stream) if stream.pays && stream.has_left)
    }

    /// The event in which the provider says that it gives up, where that is in the caller's own wire.
    pub(crate) fn last_words(&self) -> Option<&Frame> {
        match self {
            Self::Live(stream) => stream.last_words(),
            Self::Shared(_) | Self::Kept(_) => None,
        }
    }

    /// Gives the stream up: its reader cannot make sense of an event that was well formed. Others who read it may.
    pub(crate) fn reject(&mut self) {
        if let Self::Live(stream) = self {
            stream.reject();
        }
    }

    /// Gives up the stream of who would finish the answer: its reader does not know where that goes on.
    pub(crate) fn set_aside(&mut self) {
        if let Self::Live(stream) = self {
            stream.set_aside();
        }
    }
}

/// One reader's part in a stream that is written for several.
#[derive(Debug)]
pub(crate) struct SharedStream {
    seat: Seat,
    /// When this reader wants everything to be over.
    whole: Option<Deadline>,
    /// Whether it asked first.
    pays: bool,
    /// Whether it wanted everything to be over before the end came.
    has_left: bool,
    said: Said,
    request_id: Option<String>,
}

impl SharedStream {
    pub(super) fn new(seat: Seat, whole: Option<Deadline>, pays: bool, request_id: Option<String>) -> Self {
        Self { seat, whole, pays, has_left: false, said: Said::default(), request_id }
    }

    async fn next(&mut self) -> Step {
        let next = match self.whole {
            // What is there at once would be taken for ever.
            Some(whole) if whole.is_expired() => None,
            Some(whole) => whole.run(self.seat.next()).await.ok(),
            None => Some(self.seat.next().await),
        };
        let Some(next) = next else {
            self.has_left = true;
            return Step::Broken(Outcome::Timeout);
        };
        match next {
            Next::Frame(frame, said) => {
                self.said = said;
                Step::Frame(frame)
            }
            Next::End(End::Landed(Landed { usage, .. })) => {
                self.said.usage = usage;
                Step::End
            }
            Next::End(End::Broken(outcome)) => Step::Broken(outcome),
            // A stream that has begun ends in one of the ways above, unless the process is stopping.
            Next::End(End::Unanswered(_) | End::Lost) => Step::Broken(Outcome::StreamCut),
        }
    }
}

/// A kept answer, told in events.
#[derive(Debug)]
pub(crate) struct Replay {
    chunks: VecDeque<Frame>,
    usage: Option<Usage>,
    is_native: bool,
    request_id: Option<String>,
}

impl Replay {
    /// `None` for an answer that cannot be told in events.
    pub(super) fn new(entry: &Entry, request_id: Option<String>) -> Option<Self> {
        let (chunks, usage) = match entry.kind {
            Kind::Pivot => {
                let chunks = chunks(&entry.body)?.iter().map(Frame::of).collect();
                (chunks, answer::check(&entry.body).and_then(|read| read.usage))
            }
            Kind::Native => return None,
            Kind::NativeEvents => {
                let mut parser = Parser::new(usize::MAX);
                parser.push(&entry.body);
                (std::iter::from_fn(|| parser.next_frame().ok().flatten()).collect(), None)
            }
        };
        let usage = usage.map(|reported| reported.usage);
        Some(Self { chunks, usage, is_native: entry.kind != Kind::Pivot, request_id })
    }
}
