//! What madre is asked and answers: the chat of last resort, and plans that wait for a person.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::chat::ChatStatus;
use crate::event::Action;
use crate::identity::OrgId;

/// `POST /madre/chat`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MadreChatRequest {
    /// What the person said: 1 to 10 000 characters, not only white space.
    #[schema(min_length = 1, max_length = 10000, pattern = r"\S")]
    pub message: String,
    /// The conversation's id; made where absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub session_id: Option<String>,
    /// The request's id; the header's where absent.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub correlation_id: Option<String>,
    /// Facts for the engine.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
}

/// The answer of `POST /madre/chat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MadreChatResponse {
    /// The text.
    pub response: String,
    /// The engine that wrote it.
    pub model: String,
    /// Always `madre`.
    pub provider: String,
    /// `DONE`, or `WAITING` when the plan needs a confirmation.
    pub status: ChatStatus,
    /// What madre understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// The plan that was made, when the message asked for an action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// What `POST /madre/plans/{id}/confirm` needs; only with `WAITING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_token: Option<String>,
    /// The intervention whose approval runs the plan, too; only with `WAITING`. It is opened a moment after this answer,
    /// or as soon as the operator is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervention_id: Option<String>,
    /// What the reader should know before relying on the answer.
    pub warnings: Vec<String>,
    /// The plan's steps, in words.
    pub actions: Vec<String>,
}

/// What madre understood of a message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Intent {
    /// The intent's name, such as `system_status`.
    pub name: String,
    /// How sure madre is, 0 to 1.
    pub confidence: f64,
    /// What the action works on, where the message names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// The id of the intervention whose approval runs the plan `plan_id`.
pub fn intervention_of(plan_id: &str) -> String {
    format!("plan:{plan_id}")
}

/// How much harm a plan could do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Risk {
    /// Runs at once.
    Low,
    /// Waits for a confirmation.
    Medium,
    /// Waits for a confirmation.
    High,
}

impl Risk {
    /// The name as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

/// A plan and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Plan {
    /// UUID.
    pub plan_id: String,
    /// Whose plan it is.
    #[serde(default)]
    pub org_id: OrgId,
    /// The request it came from.
    pub correlation_id: String,
    /// The conversation it came from.
    pub session_id: String,
    /// What madre understood.
    pub intent: Intent,
    /// How much harm it could do.
    pub risk: Risk,
    /// Where it stands.
    pub status: ChatStatus,
    /// The steps, in words.
    pub actions: Vec<String>,
    /// What came of it, once it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// RFC 3339 UTC.
    pub updated_at: String,
}

/// `POST /madre/plans/{id}/confirm`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// From the answer that is `WAITING`; works once.
    pub confirm_token: String,
}

/// `GET /madre/audit/{correlation_id}`: what madre did for one request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ActionTrail {
    /// Oldest first; at most 1000.
    pub actions: Vec<Action>,
}
