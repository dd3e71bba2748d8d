//! Whom a broken stream's rest is asked of next.

use crate::config::OnDivergence;
use crate::domain::continuation::{Manner, shown_to_prefill};
use crate::domain::failover::{Failure, KeysTried, Turn};
use crate::domain::json_text;
use crate::domain::operation::Operation;
use crate::domain::outcome::Outcome;
use crate::domain::rejection::Rejection;
use crate::domain::retry::Next;
use crate::domain::rewrite::{Manuscript, Misfit};
use crate::domain::routing::Target;
use crate::gateway::attempt::Attempt;
use crate::gateway::stream::Opened;

use super::cause::{Cause, Lost, Step};
use super::{MOST_CALLS, Rescue};

impl Rescue {
    /// The next stream that begins.
    pub(super) async fn next_stream(&mut self, cause: Cause) -> Result<(Opened, Attempt), Lost> {
        if let Some(obstacle) = self.delivered.obstacle() {
            return Err(Lost::Hindered(obstacle));
        }
        let mut next = self.after(cause).await?;
        let mut turn = if self.is_again { Turn::Again } else { Turn::First };
        while let Some(step) = next {
            if self.total.is_expired() {
                return Err(Lost::OutOfTime);
            }
            if self.calls == MOST_CALLS {
                break;
            }
            if step.target != self.step.target {
                (self.retried, self.keys, turn) = (0, KeysTried::default(), Turn::First);
            }
            self.step = step;
            next = match self.open(step, turn).await {
                Ok(stream) => return Ok(stream),
                Err(failure) => self.after_failure(step, failure).await?,
            };
            turn = self.keys.turn();
        }
        Err(Lost::Exhausted)
    }

    /// The call to make after the one of `step` has failed, once it is time for it: as it would be before the answer
    /// began. But the caller's words were taken once, so that who has something against them alone is passed over.
    async fn after_failure(&mut self, step: Step, mut failure: Failure) -> Result<Option<Step>, Lost> {
        if failure.rejection == Some(Rejection::ContentPolicy) {
            return Err(Lost::Refused);
        }
        self.keys.note(&mut failure);
        let target = &self.targets[step.target];
        if failure.outcome == Outcome::Timeout {
            self.silent.push(target.provider);
        }
        let retries = self.gateway.retries();
        let left = Some(self.total.remaining());
        Ok(match retries.policy.next(&failure, self.retried, left, (retries.jitter)()) {
            Next::Rotate => Some(step),
            Next::Retry(wait) if (retries.budget)(target, &failure) => {
                self.retried += 1;
                tokio::time::sleep(wait).await;
                Some(step)
            }
            // Not the caller's words were refused, but ours.
            Next::Answer | Next::Larger
                if matches!(step.manuscript, Manuscript::GoingOn(Manner::Prefill | Manner::Prompt)) =>
            {
                Some(Step { manuscript: Manuscript::Anew, ..step })
            }
            Next::Larger => self.step_at(step.target + 1, true),
            Next::Retry(_) | Next::Elsewhere | Next::Answer => self.first_step(step.target + 1),
        })
    }

    /// What to do when the provider of the last step does not finish the stream.
    async fn after(&mut self, cause: Cause) -> Result<Option<Step>, Lost> {
        if let Some(last) = self.tried.last_mut() {
            last.outcome = cause.outcome();
        }
        match cause {
            // Another one's would be as large.
            Cause::Broke(Outcome::AnswerTooLarge) => Ok(None),
            Cause::Broke(outcome) => {
                self.rescued += 1;
                match self.first_step(self.step.target + 1) {
                    None => Ok(self.once_more(outcome).await),
                    next => Ok(next),
                }
            }
            Cause::Misfit(Misfit::Diverged) if self.may_be_told_to_go_on() => {
                Ok(Some(Step { manuscript: Manuscript::GoingOn(Manner::Instruction), ..self.step }))
            }
            Cause::Misfit(misfit) => Err(Lost::Misfit(misfit)),
        }
    }

    /// The target that broke off, once it is time to ask it again: once in a stream, and only where a whole answer's
    /// failure would be followed by a retry.
    async fn once_more(&mut self, outcome: Outcome) -> Option<Step> {
        if std::mem::replace(&mut self.is_again, true) {
            return None;
        }
        let step = self.first_step(self.step.target)?;
        let (retries, failure) = (self.gateway.retries(), Failure::new(outcome, "the stream broke within its answer"));
        let left = Some(self.total.remaining());
        match retries.policy.next(&failure, self.retried, left, (retries.jitter)()) {
            Next::Retry(wait) if (retries.budget)(&self.targets[step.target], &failure) => {
                self.retried += 1;
                tokio::time::sleep(wait).await;
                Some(step)
            }
            _ => None,
        }
    }

    fn may_be_told_to_go_on(&self) -> bool {
        self.on_divergence == OnDivergence::Continue
            && self.step.manuscript != Manuscript::GoingOn(Manner::Instruction)
            // Who completes texts takes no instructions.
            && !self.completes_texts(&self.targets[self.step.target])
            && self.has_one_text_to_go_on_from(Manner::Instruction)
    }

    /// How a target is asked at first.
    fn first_step(&self, target: usize) -> Option<Step> {
        // A target for longer requests is no fallback for others.
        self.step_at(target, self.targets[self.step.target].larger)
    }

    /// How the next target from `target` on is asked, of those that are for longer requests or of the others.
    fn step_at(&self, target: usize, larger: bool) -> Option<Step> {
        let is_next = |found: &Target| found.larger == larger && !self.silent.contains(&found.provider);
        let (target, found) = self.targets.iter().enumerate().skip(target).find(|(_, found)| is_next(found))?;
        let manner = match self.completes_texts(found) {
            true => Some(Manner::Prompt),
            false => self.gateway.shared.registry.get(found.provider).prefill.then_some(Manner::Prefill),
        };
        let manner = manner.filter(|manner| self.has_one_text_to_go_on_from(*manner));
        Some(Step { target, manuscript: manner.map_or(Manuscript::Anew, Manuscript::GoingOn) })
    }

    /// Whether `target` is asked for a text completion, and not for a chat in its place.
    fn completes_texts(&self, target: &Target) -> bool {
        let provider = self.gateway.shared.registry.get(target.provider);
        self.request.operation == Operation::TextCompletion && provider.speaks(&self.request)
    }

    /// Whether there is a text, one only, that ends with a whole character, and is no message of blanks.
    fn has_one_text_to_go_on_from(&self, manner: Manner) -> bool {
        let text = self.delivered.content(0);
        let says = manner == Manner::Prompt || !shown_to_prefill(&text).is_empty();
        self.request.choices <= 1 && says && !json_text::ends_within_a_character(&text)
    }
}
