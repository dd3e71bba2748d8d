//! What the caller is told when nobody answered: of all failures, the one that helps it most.

use std::time::Duration;

use super::{Failure, Refusal};
use crate::domain::outcome::Outcome;
use crate::domain::rejection::Rejection;

/// Why nobody answered, as far as the caller needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The request is at fault, as the provider says that was asked last.
    Refused(Box<Refusal>),
    /// The last provider that was asked failed with an error of its own.
    ProviderError(Box<Refusal>),
    /// Time ran out.
    OutOfTime,
    /// Every breaker is open; the first one lets a call through after this time.
    AllOpen(Duration),
    /// Every provider is at the limit of its keys; the first one can be used after this time.
    AllLimited(Duration),
    /// The gateway itself holds back: every provider has as many calls as it takes.
    Overloaded(Duration),
    /// Every provider refused the gateway's keys.
    CredentialsExhausted,
    /// Everything was tried.
    Exhausted,
}

/// What the failures add up to for the caller.
#[derive(Debug, Default)]
pub(super) struct LeftToSay {
    /// The last provider that was asked and had something to say about itself.
    last: Option<(Outcome, Option<Box<Refusal>>)>,
    credentials: bool,
    /// What the first one says that has nothing for this request, though it works.
    unsuited: Option<Reason>,
    open: Option<Duration>,
    resting: Option<Duration>,
    overloaded: Option<Duration>,
}

impl LeftToSay {
    pub(super) fn hear(&mut self, failure: Failure) {
        let earlier = |known: Option<Duration>| known.into_iter().chain(failure.retry_after).min();
        match failure.outcome {
            _ if failure.rejection == Some(Rejection::Allowance) => {
                self.unsuited = self.unsuited.take().or(failure.refusal.map(Reason::Refused));
            }
            Outcome::CircuitOpen => self.open = earlier(self.open),
            Outcome::KeysResting => self.resting = earlier(self.resting),
            Outcome::Overloaded => self.overloaded = earlier(self.overloaded),
            Outcome::MissingApiKey => {}
            Outcome::Untranslatable => self.unsuited = self.unsuited.take().or(failure.refusal.map(Reason::Refused)),
            // In words of its own: the model is not there. A page says that nothing is.
            Outcome::Http(404) if failure.refusal.as_ref().is_some_and(|refusal| refusal.body.is_some()) => {
                self.unsuited = self.unsuited.take().or(failure.refusal.map(Reason::ProviderError));
            }
            // What is forbidden with every key is no matter of keys.
            outcome if outcome.is_credentials() && failure.rejection.is_none() => self.credentials = true,
            outcome => self.last = Some((outcome, failure.refusal)),
        }
    }

    /// Whether any of those heard may do better at another time: one that failed, or could not be asked just now.
    pub(super) fn may_pass(&self) -> bool {
        let is_busy = self.open.or(self.resting).or(self.overloaded).is_some();
        self.last.is_some() || self.credentials || is_busy
    }

    pub(super) fn reason(self) -> Reason {
        match self.last {
            Some((Outcome::Timeout, _)) => return Reason::OutOfTime,
            Some((outcome, Some(refusal))) if is_worth_passing_on(outcome) => return Reason::ProviderError(refusal),
            Some(_) => return Reason::Exhausted,
            None => {}
        }
        match (self.overloaded, self.resting, self.open) {
            (Some(retry_after), _, _) => Reason::Overloaded(retry_after),
            (None, Some(retry_after), _) => Reason::AllLimited(retry_after),
            (None, None, Some(retry_after)) => Reason::AllOpen(retry_after),
            (None, None, None) if self.credentials => Reason::CredentialsExhausted,
            (None, None, None) => self.unsuited.unwrap_or(Reason::Exhausted),
        }
    }
}

/// Whether a provider's status means to the caller what it meant to us.
fn is_worth_passing_on(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Http(403 | 408 | 409 | 429 | 500..=599))
}
