//! What lets an approved request pass the rules, and what is said where its approval is not taken.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;

use super::COME_AGAIN;
use crate::domain::hold::Rule;
use crate::domain::wishes::Wishes;
use crate::hold::{Approval, Untaken};

/// What lets a request pass the rules: a person's approval, which is taken when a provider is about to be asked.
#[derive(Debug)]
pub(in crate::routes) struct Pass {
    pub(in crate::routes) approval: Approval,
    pub(super) rule: Arc<Rule>,
    /// The request as it was edited.
    pub(in crate::routes) edited: Option<Bytes>,
    /// Those that it came with.
    pub(in crate::routes) wishes: Wishes,
}

impl Pass {
    /// What its caller is told, where the approval could not be taken.
    pub(in crate::routes) fn untaken(&self) -> Option<ApiError> {
        self.approval.untaken().map(|untaken| match untaken {
            Untaken::Used => used(&self.approval.id()),
            Untaken::Away(error) => away(&self.rule, error),
        })
    }
}

/// Somebody else has it.
pub(super) fn used(id: &str) -> ApiError {
    ApiError::new(ErrorCode::Conflict, format!("the approval {id} was used already, or was withdrawn"))
}

/// The operator does not answer.
pub(super) fn away(rule: &Rule, error: impl Display) -> ApiError {
    let detail =
        format!("the rule `{}` wants a person to look at the request, and the operator does not answer", rule.name);
    ApiError::new(ErrorCode::HoldUnavailable, detail).with_retry_after(COME_AGAIN).with_cause(error)
}
