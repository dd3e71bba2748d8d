//! Asks one target after the other until one answers.
//!
//! It decides who is asked next and what is left to say when nobody answered; how a provider is asked is the caller's
//! affair. A target that may answer a moment later is asked again, as [`RetryPolicy`] says; one that was silent is not,
//! nor is its provider under another model. A request that is itself at fault is not carried from provider to provider:
//! the first refusal is the answer, but for one that is too long, which goes to the targets for longer requests. One
//! that cannot be said in a target's wire is carried on, because the next one's may have the words, and so is one for a
//! model that a provider does not have, or for more tokens than its account has in a minute; that is the answer where
//! nobody has anything else to say.

mod failure;
mod keys_tried;
mod reason;

use std::time::{Duration, Instant};

use vx11_resilience::Deadline;

use super::outcome::Outcome;
use super::retry::{Next, RetryPolicy};
use super::routing::Target;

pub(crate) use failure::{Failure, Refusal};
pub(crate) use keys_tried::KeysTried;
pub(crate) use reason::Reason;

use reason::LeftToSay;

/// How one call went. A target that was retried has one for each call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Its place among the targets.
    pub(crate) target: usize,
    /// How it went.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// How long nothing was done after it, before it was retried.
    pub(crate) pause: Duration,
}

impl Tried {
    /// A call that took so long, and is not retried.
    pub(crate) fn new(target: usize, outcome: Outcome, elapsed: Duration) -> Self {
        Self { target, outcome, elapsed, pause: Duration::ZERO }
    }
}

/// What `tried` took of the time that a request takes, so that it is none of the gateway's own.
pub(crate) fn time_of(tried: &[Tried]) -> Duration {
    tried.iter().map(|tried| tried.elapsed + tried.pause).sum()
}

/// Whether a target is asked for the first time for a request, or once more: a retry, or with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The first time.
    First,
    /// Once more.
    Again,
    /// Once more, what is asked having been forbidden with the key of this number.
    Forbidden(usize),
}

/// An answer, and the way to it.
#[derive(Debug)]
pub(crate) struct Answered<A> {
    /// The answer.
    pub(crate) answer: A,
    /// Every call, in order; the last one was answered.
    pub(crate) tried: Vec<Tried>,
}

/// Nobody answered.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    /// Every call, in order.
    pub(crate) tried: Vec<Tried>,
    /// What the caller is to be told.
    pub(crate) reason: Reason,
}

/// How the search goes on after a failure.
pub(crate) struct Retries<'a, B, J> {
    /// The rules.
    pub(crate) policy: &'a RetryPolicy,
    /// Takes one retry of this target from its budget, after this failure; `false` where none is left.
    pub(crate) budget: B,
    /// A number from 0 to 1, another one each time.
    pub(crate) jitter: J,
}

/// Asks `targets` in order, within `deadline`; those for longer requests only when the request was too long for one.
pub(crate) async fn first_answer<A>(
    targets: &[Target],
    deadline: Option<Deadline>,
    retries: Retries<'_, impl Fn(&Target, &Failure) -> bool, impl Fn() -> f64>,
    call: impl AsyncFn(&Target, Turn) -> Result<A, Failure>,
) -> Result<Answered<A>, Unanswered> {
    let mut tried = Vec::with_capacity(1);
    let mut left_to_say = LeftToSay::default();
    let mut silent = Vec::new();
    let mut too_long: Option<Box<Refusal>> = None;
    'targets: for (index, target) in targets.iter().enumerate() {
        if target.larger != too_long.is_some() || silent.contains(&target.provider) {
            continue;
        }
        let (mut retried, mut keys, mut turn) = (0, KeysTried::default(), Turn::First);
        loop {
            if deadline.is_some_and(|deadline| deadline.is_expired()) {
                return Err(Unanswered { tried, reason: Reason::OutOfTime });
            }
            let started = Instant::now();
            let result = call(target, turn).await;
            let outcome = result.as_ref().map_or_else(|failure| failure.outcome, |_| Outcome::Success);
            tried.push(Tried::new(index, outcome, started.elapsed()));
            let mut failure = match result {
                Ok(answer) => return Ok(Answered { answer, tried }),
                Err(failure) => failure,
            };
            keys.note(&mut failure);
            turn = keys.turn();
            let left = deadline.map(|deadline| deadline.remaining());
            match (retries.policy.next(&failure, retried, left, (retries.jitter)()), failure.refusal.as_ref()) {
                (Next::Rotate, _) => continue,
                (Next::Retry(wait), _) if (retries.budget)(target, &failure) => {
                    retried += 1;
                    let paused = Instant::now();
                    tokio::time::sleep(wait).await;
                    if let Some(last) = tried.last_mut() {
                        last.pause = paused.elapsed();
                    }
                    continue;
                }
                (Next::Answer, Some(refusal)) => {
                    return Err(Unanswered { tried, reason: Reason::Refused(refusal.clone()) });
                }
                (Next::Larger, Some(refusal)) => {
                    if too_long.replace(refusal.clone()).is_none() {
                        // What kept the others from answering matters no more: they could not have.
                        left_to_say = LeftToSay::default();
                    }
                    continue 'targets;
                }
                (Next::Answer, None) => {
                    left_to_say.hear(failure);
                    break 'targets;
                }
                (Next::Retry(_) | Next::Elsewhere | Next::Larger, _) => {}
            }
            if outcome == Outcome::Timeout {
                silent.push(target.provider);
            }
            left_to_say.hear(failure);
            continue 'targets;
        }
    }
    let reason = match too_long {
        // One that is large enough may answer later.
        Some(refusal) if !left_to_say.may_pass() => Reason::Refused(refusal),
        _ => left_to_say.reason(),
    };
    Err(Unanswered { tried, reason })
}

#[cfg(test)]
mod tests;
