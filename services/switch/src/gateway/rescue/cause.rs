//! Why a stream needs another provider, why it finds none, and which call is made next.

use crate::domain::delivered::Obstacle;
use crate::domain::outcome::Outcome;
use crate::domain::rewrite::{Manuscript, Misfit};

/// A call to make: a target's place, and how it is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) target: usize,
    pub(super) manuscript: Manuscript,
}

/// Why the provider whose stream it was does not finish it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Cause {
    /// Its stream broke.
    Broke(Outcome),
    /// Its answer does not fit.
    Misfit(Misfit),
}

impl Cause {
    /// How its part in the answer ended.
    pub(in crate::gateway) fn outcome(self) -> Outcome {
        match self {
            Self::Broke(outcome) => outcome,
            Self::Misfit(_) => Outcome::Diverged,
        }
    }
}

/// Why a stream is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Lost {
    /// No target is left, or enough calls were made.
    Exhausted,
    /// The stream's total limit has passed.
    OutOfTime,
    /// What was delivered cannot be gone on from.
    Hindered(Obstacle),
    /// The new answer does not fit, and may not be gone on from.
    Misfit(Misfit),
    /// It offends a provider's policy, which is no reason to ask another one.
    Refused,
}

impl Lost {
    /// The name in logs and metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::OutOfTime => "out_of_time",
            Self::Hindered(Obstacle::ToolCall) => "tool_call",
            Self::Hindered(Obstacle::NotText) => "not_text",
            Self::Hindered(Obstacle::TooLong) => "too_long",
            Self::Misfit(Misfit::Diverged) => "diverged",
            Self::Misfit(Misfit::Inseparable) => "inseparable",
            Self::Refused => "refused",
        }
    }
}
