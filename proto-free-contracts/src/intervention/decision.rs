//! The decision, and the bodies that make one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{DecisionKind, InvalidField, limits};

/// How a request was decided. There is never a second one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterventionDecision)]
pub struct Decision {
    /// What was decided.
    pub kind: DecisionKind,
    /// Who decided: a pilot, or `system:timeout`.
    pub by: String,
    /// RFC 3339 UTC.
    pub at: String,
    /// Why.
    pub reason: Option<String>,
    /// The arguments to run with, where they were edited.
    #[schema(value_type = Option<Object>)]
    pub args: Option<Map<String, Value>>,
    /// How the arguments were changed, as a JSON Patch (RFC 6902).
    #[schema(value_type = Option<Vec<Object>>)]
    pub changes: Option<Vec<Value>>,
    /// The text of a response.
    pub response: Option<String>,
    /// The digest of the arguments that the decision is about: the edited ones, where there are any.
    pub args_digest: Option<String>,
    /// Who redeemed it.
    pub redeemed_by: Option<String>,
    /// When it was redeemed, RFC 3339 UTC. It is redeemed once.
    pub redeemed_at: Option<String>,
}

/// One approval where everybody of a step has to agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vote {
    /// The pilot.
    pub by: String,
    /// RFC 3339 UTC.
    pub at: String,
    /// Why.
    pub reason: Option<String>,
}

/// `POST …/{id}/approve` and `…/reject`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionBody {
    /// The version that the pilot saw.
    #[schema(minimum = 1)]
    pub version: i64,
    /// The digest of the arguments that the pilot saw; compared where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_digest: Option<String>,
    /// Why: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// `POST …/{id}/edit`: approve, with other arguments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditBody {
    /// The version that the pilot saw.
    #[schema(minimum = 1)]
    pub version: i64,
    /// The digest of the arguments that the pilot saw; compared where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_digest: Option<String>,
    /// Why: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// All the arguments to run with; at most 64 KiB of JSON.
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
}

/// `POST …/{id}/respond`: a text is the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RespondBody {
    /// The version that the pilot saw.
    #[schema(minimum = 1)]
    pub version: i64,
    /// The digest of the arguments that the pilot saw; compared where given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_digest: Option<String>,
    /// Why: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
    /// The answer: 1 to 10 000 characters.
    #[schema(min_length = 1, max_length = 10_000)]
    pub text: String,
}

/// `POST …/{id}/claim`; the body may be empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    /// Seconds until the claim lapses; the operator's setting is the default and the most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub seconds: Option<u32>,
}

/// `POST …/{id}/cancel`: whoever asked withdraws the request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelBody {
    /// Why: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// `POST …/{id}/complete`: the pilot that claimed the request did what was needed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteBody {
    /// What was done: at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// `POST …/{id}/redeem`: takes the decision, once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedeemBody {
    /// The digest of the arguments that are about to run; mandatory where an action was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args_digest: Option<String>,
}

/// Whether a reason is within its limit.
fn reason(reason: Option<&str>) -> Result<(), InvalidField> {
    reason.map_or(Ok(()), |reason| limits::at_most("reason", reason, super::REASON_CHARS))
}

impl DecisionBody {
    /// Whether the reason is within its limit.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        reason(self.reason.as_deref())
    }
}

impl EditBody {
    /// Whether reason and arguments are within their limits.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        reason(self.reason.as_deref())?;
        limits::json("args", &self.args, super::ARGS_BYTES)
    }
}

impl RespondBody {
    /// Whether reason and text are within their limits.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        reason(self.reason.as_deref())?;
        limits::filled("text", &self.text, super::RESPONSE_CHARS)
    }
}

impl CancelBody {
    /// Whether the reason is within its limit.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        reason(self.reason.as_deref())
    }
}

impl CompleteBody {
    /// Whether the reason is within its limit.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        reason(self.reason.as_deref())
    }
}
