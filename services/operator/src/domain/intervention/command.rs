//! What can be done to a request.

use std::time::Duration;

use vx11_contracts::intervention::{CancelBody, CompleteBody, DecisionBody, EditBody, RedeemBody, RespondBody};

/// What can be done to a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    /// Take it up, or stay at it: others cannot decide it until `lease` is over.
    Claim { lease: Duration },
    /// Give it back. An ADMIN can take it from whoever claimed it.
    Release,
    /// Let the action run.
    Approve(DecisionBody),
    /// Do not let it run.
    Reject(DecisionBody),
    /// Let it run with other arguments.
    Edit(EditBody),
    /// Answer with a text.
    Respond(RespondBody),
    /// Withdraw it, as its author.
    Cancel(CancelBody),
    /// Close it without a decision: the pilot at it did what was needed.
    Complete(CompleteBody),
    /// Take the decision, once.
    Redeem(RedeemBody),
    /// Let time have its way, for the sweeper.
    Expire,
}

impl Command {
    /// Its name in the audit.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "claim",
            Self::Release => "release",
            Self::Approve(_) => "approve",
            Self::Reject(_) => "reject",
            Self::Edit(_) => "edit",
            Self::Respond(_) => "respond",
            Self::Cancel(_) => "cancel",
            Self::Complete(_) => "complete",
            Self::Redeem(_) => "redeem",
            Self::Expire => "expire",
        }
    }
}
