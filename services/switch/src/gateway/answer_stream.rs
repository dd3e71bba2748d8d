//! A streamed answer, wherever it comes from: its own provider, another request's call, or what is kept.

use std::collections::VecDeque;

use vx11_chassis::sse::Frame;
use vx11_contracts::chat::Usage;
use vx11_resilience::Deadline;

use super::Gateway;
use super::stream::{ChatStream, Step};
use crate::accounts::Bill;
use crate::cache::{End, Landed, Next, Seat};
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
            Self::Shared(stream) => stream.usage,
            Self::Kept(replay) => replay.usage,
        }
    }

    /// The way to the answer's end, where another target than the first took part and this request asked it.
    pub(crate) fn way(&self) -> Option<(&Gateway, &[Target], &[Tried], &Bill)> {
        match self {
            Self::Live(stream) => stream.way(),
            Self::Shared(_) | Self::Kept(_) => None,
        }
    }

    /// Gives the stream up: its reader cannot make sense of an event that was well formed. Others who read it may.
    pub(crate) fn reject(&mut self) {
        if let Self::Live(stream) = self {
            stream.reject();
        }
    }
}

/// One reader's part in a stream that is written for several.
#[derive(Debug)]
pub(crate) struct SharedStream {
    seat: Seat,
    /// When this reader wants everything to be over.
    whole: Option<Deadline>,
    usage: Option<Usage>,
    request_id: Option<String>,
}

impl SharedStream {
    pub(super) fn new(seat: Seat, whole: Option<Deadline>, request_id: Option<String>) -> Self {
        Self { seat, whole, usage: None, request_id }
    }

    async fn next(&mut self) -> Step {
        let next = match self.whole {
            Some(whole) => match whole.run(self.seat.next()).await {
                Ok(next) => next,
                Err(_) => return Step::Broken(Outcome::Timeout),
            },
            None => self.seat.next().await,
        };
        match next {
            Next::Frame(frame, usage) => {
                self.usage = usage;
                Step::Frame(frame)
            }
            Next::End(End::Landed(Landed { usage, .. })) => {
                self.usage = usage;
                Step::End
            }
            Next::End(End::Broken(outcome)) => Step::Broken(outcome),
            // A stream that has begun ends in one of the ways above, unless the process is stopping.
            Next::End(End::Unanswered(_) | End::Lost) => Step::Broken(Outcome::StreamCut),
        }
    }
}

/// A kept answer, told in chunks.
#[derive(Debug)]
pub(crate) struct Replay {
    chunks: VecDeque<Frame>,
    usage: Option<Usage>,
    request_id: Option<String>,
}

impl Replay {
    pub(super) fn new(chunks: Vec<Vec<u8>>, usage: Option<Usage>, request_id: Option<String>) -> Self {
        let chunks = chunks.iter().filter_map(|chunk| super::rescue::event(chunk)).collect();
        Self { chunks, usage, request_id }
    }
}
