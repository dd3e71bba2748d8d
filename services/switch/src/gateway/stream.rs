//! A provider's stream, checked event by event as it goes by.
//!
//! It is handed on only once the answer has begun, with a first token or its end, so that until then another provider
//! can take its place unseen: what opens an answer and says nothing of it is held back. After that another one finishes
//! it where that can be done ([`super::rescue`]). It ends in one of two ways, and says which: the answer is whole, or
//! it broke.

mod opened;
mod source;
mod translation;

use std::time::Duration;

use futures_util::FutureExt;
use vx11_chassis::sse::Frame;
use vx11_contracts::chat::Usage;
use vx11_http_client::Response;

use super::Gateway;
use super::attempt::Attempt;
use super::rescue::{Cause, Rescue};
use crate::accounts::Bill;
use crate::domain::delivered::Delivered;
use crate::domain::failover::{Failure, Tried};
use crate::domain::outcome::{Health, Outcome};
use crate::domain::rewrite::Misfit;
use crate::domain::routing::Target;
use crate::metrics::ActiveStream;

pub(super) use opened::Opened;
use source::{Event, Source};
pub(super) use translation::Translation;

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

    /// Whether another target than the first may finish it.
    pub(crate) fn may_be_rescued(&self) -> bool {
        self.rescue.is_some()
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
                None if self.rescue.as_ref().is_some_and(|rescue| rescue.is_out_of_time()) => {
                    return Step::Broken(Outcome::Timeout);
                }
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

    /// Gives up the stream of who would finish the answer: its reader does not know where that goes on.
    pub(crate) fn set_aside(&mut self) {
        self.leg.fail(Cause::Misfit(Misfit::Inseparable));
    }

    /// The answer is whole; one that several have written has a last event of the gateway's own.
    fn finish(&mut self) -> Step {
        self.leg.hand_over();
        let estimate = self.leg.attempt.as_mut().and_then(Attempt::estimate);
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

    /// Lets the attempt have what is known at the end: who gives an answer up may say what it has spent.
    fn hand_over(&mut self) {
        let Some(attempt) = &mut self.attempt else { return };
        attempt.streamed(false, self.source.progress());
        if self.source.watch.usage().is_none() && self.source.watch.keeps_written() {
            attempt.wrote(self.source.wrote());
        }
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
        self.hand_over();
        let Some(attempt) = self.attempt.take() else { return };
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

impl Drop for Leg {
    /// Its reader has left, unless it has ended.
    fn drop(&mut self) {
        self.hand_over();
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
