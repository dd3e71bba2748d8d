//! A person's approval on its way to being taken, and what is said where it is not.

use std::sync::Arc;

use bytes::Bytes;
use vx11_chassis::ApiError;
use vx11_chassis::client::CallError;
use vx11_contracts::ErrorCode;

use super::COME_AGAIN;
use crate::domain::hold::Rule;
use crate::domain::wishes::Wishes;
use crate::hold::{Ended, Ticket};

/// What lets a request pass the rules: a person's approval, which is not taken yet.
#[derive(Debug)]
pub(in crate::routes) struct Pass {
    pub(super) ticket: Ticket,
    pub(super) rule: Arc<Rule>,
    /// The request as it was edited.
    pub(in crate::routes) edited: Option<Bytes>,
    /// Those that it came with.
    pub(in crate::routes) wishes: Wishes,
}

impl Pass {
    /// The intervention's id, for the ledger.
    pub(in crate::routes) fn id(&self) -> Arc<str> {
        self.ticket.id().into()
    }

    /// Takes the approval.
    ///
    /// # Errors
    /// When another request has it, or the operator does not answer.
    pub(in crate::routes) async fn redeem(mut self: Box<Self>) -> Result<(), ApiError> {
        match self.ticket.redeem().await {
            Ok(true) => {
                self.ticket.ended(if self.edited.is_some() { Ended::Edited } else { Ended::Approved });
                Ok(())
            }
            Ok(false) => {
                self.ticket.ended(Ended::Mismatched);
                Err(used(self.ticket.id()))
            }
            Err(error) => {
                self.ticket.ended(Ended::Unavailable);
                Err(away(&self.rule, error))
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if !self.ticket.is_over() {
            // It was approved, and refused all the same: its model, a limit, a budget.
            self.ticket.ended(Ended::Refused);
        }
    }
}

/// Somebody else has it.
pub(super) fn used(id: &str) -> ApiError {
    ApiError::new(ErrorCode::Conflict, format!("the approval {id} was used already, or was withdrawn"))
}

/// The operator does not answer.
pub(super) fn away(rule: &Rule, error: CallError) -> ApiError {
    let detail =
        format!("the rule `{}` wants a person to look at the request, and the operator does not answer", rule.name);
    ApiError::new(ErrorCode::HoldUnavailable, detail).with_retry_after(COME_AGAIN).with_cause(error)
}
