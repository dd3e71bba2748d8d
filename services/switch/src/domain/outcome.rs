//! How one provider call went, and what follows from it.

use std::borrow::Cow;
use std::fmt;

/// How one provider call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A whole, well-formed answer.
    Success,
    /// Nothing within the limit.
    Timeout,
    /// No connection.
    Connect,
    /// The connection broke before the answer began.
    Transport,
    /// The connection broke within a whole answer, or the provider gave it up.
    AnswerCut,
    /// An error status.
    Http(u16),
    /// Its key is not there; it was not asked.
    MissingApiKey,
    /// The provider refused every key; it was not asked.
    KeysDead,
    /// Every key is at its limit; it was not asked.
    KeysResting,
    /// Its breaker is open; it was not asked.
    CircuitOpen,
    /// It has as many calls as it takes, and as many waiting; it was not asked.
    Overloaded,
    /// What is asked cannot be said in its wire; it was not asked.
    Untranslatable,
    /// A person's approval of the request could not be taken; it was not asked.
    Unapproved,
    /// An answer off its schema.
    InvalidAnswer,
    /// An answer, or an event of one, that is larger than any that is taken.
    AnswerTooLarge,
    /// The stream ended before the answer did, or the provider gave it up.
    StreamCut,
    /// The stream fell silent.
    Stalled,
    /// A well-formed answer that does not fit to what its caller has already.
    Diverged,
    /// The caller went away.
    Cancelled,
}

/// What an outcome says about the provider's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// The outcome says nothing about it.
    Unknown,
}

impl Outcome {
    /// Those that come often: all but the rarer statuses. What comes most often comes first.
    pub(crate) const COMMON: [Self; 25] = [
        Self::Success,
        Self::Http(429),
        Self::Http(503),
        Self::Http(500),
        Self::CircuitOpen,
        Self::Timeout,
        Self::Cancelled,
        Self::Connect,
        Self::Transport,
        Self::AnswerCut,
        Self::MissingApiKey,
        Self::KeysDead,
        Self::KeysResting,
        Self::Overloaded,
        Self::Untranslatable,
        Self::InvalidAnswer,
        Self::AnswerTooLarge,
        Self::StreamCut,
        Self::Stalled,
        Self::Diverged,
        Self::Http(400),
        Self::Http(401),
        Self::Http(404),
        Self::Http(502),
        Self::Http(529),
    ];

    /// Its place among them.
    pub(crate) fn common(self) -> Option<usize> {
        Self::COMMON.iter().position(|common| *common == self)
    }

    /// The name that answers, logs and metrics use.
    pub(crate) fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Http(status) => return Cow::Owned(format!("http_{status}")),
            Self::Success => "success",
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Transport => "transport",
            Self::AnswerCut => "answer_cut",
            Self::MissingApiKey => "missing_api_key",
            Self::KeysDead => "keys_dead",
            Self::KeysResting => "keys_resting",
            Self::CircuitOpen => "circuit_open",
            Self::Overloaded => "overloaded",
            Self::Untranslatable => "untranslatable",
            Self::Unapproved => "unapproved",
            Self::InvalidAnswer => "invalid_answer",
            Self::AnswerTooLarge => "answer_too_large",
            Self::StreamCut => "stream_cut",
            Self::Stalled => "stalled",
            Self::Diverged => "diverged",
            Self::Cancelled => "cancelled",
        })
    }

    /// Whether the request itself is at fault: another provider would say the same. That something is not there is no
    /// such fault: models come and go, and each provider has its own.
    pub(crate) fn is_callers_fault(self) -> bool {
        matches!(self, Self::Http(400 | 413 | 422))
    }

    /// Whether the provider was asked at all.
    pub(crate) fn was_asked(self) -> bool {
        !matches!(
            self,
            Self::MissingApiKey
                | Self::KeysDead
                | Self::KeysResting
                | Self::CircuitOpen
                | Self::Overloaded
                | Self::Untranslatable
                | Self::Unapproved
        )
    }

    /// Whether the provider may have worked for the request although nothing came of it: it has read the prompt, and
    /// who hangs up pays for what was done until then.
    pub(crate) fn may_have_spent(self) -> bool {
        matches!(
            self,
            Self::Success
                | Self::Timeout
                | Self::AnswerCut
                | Self::AnswerTooLarge
                | Self::StreamCut
                | Self::Stalled
                | Self::Cancelled
        )
    }

    /// Whether it is the gateway's own credentials that are at fault.
    pub(crate) fn is_credentials(self) -> bool {
        matches!(self, Self::Http(401..=403) | Self::KeysDead)
    }

    /// What the breaker learns, where there is no key that is to blame. Refused credentials count as bad: asking again
    /// in the same way helps nobody.
    pub(crate) fn health(self) -> Health {
        match self {
            Self::Success | Self::Diverged => Health::Good,
            // What is too large for the gateway is no fault of the provider's, nor is what it does not have.
            Self::Cancelled | Self::AnswerTooLarge | Self::Http(404 | 409) => Health::Unknown,
            _ if !self.was_asked() => Health::Unknown,
            _ if self.is_callers_fault() => Health::Good,
            _ => Health::Bad,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_faults_do_not_count_against_the_provider() {
        for status in [400, 413, 422] {
            assert!(Outcome::Http(status).is_callers_fault());
            assert_eq!(Outcome::Http(status).health(), Health::Good);
        }
        for status in [401, 402, 403, 408, 429, 500, 503] {
            assert!(!Outcome::Http(status).is_callers_fault());
            assert_eq!(Outcome::Http(status).health(), Health::Bad);
        }
        assert!(!Outcome::Http(404).is_callers_fault());
        assert_eq!(Outcome::Http(404).health(), Health::Unknown);
        assert_eq!(Outcome::Cancelled.health(), Health::Unknown);
        assert_eq!(Outcome::AnswerTooLarge.health(), Health::Unknown);
    }
}
