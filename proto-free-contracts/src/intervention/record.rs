//! A request as it is kept and answered.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    AnswerFormat, Decision, DecisionKind, EscalationStep, InterventionType, OnTimeout, Priority, Role, Status, Vote,
};

/// A request for a person's decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Intervention {
    /// The id.
    pub request_id: String,
    /// The organisation that it belongs to.
    pub org_id: String,
    /// The unit of work that waits.
    pub uow_id: Option<String>,
    /// What it is about.
    pub intervention_type: InterventionType,
    /// Where it stands.
    pub status: Status,
    /// How urgent it is.
    pub priority: Priority,
    /// What a pilot reads first.
    pub title: String,
    /// What a pilot has to know.
    pub description: String,
    /// Facts for the pilot.
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// What waits to be run; absent for a question.
    pub action: Option<Action>,
    /// The ways to decide.
    pub allow: Vec<DecisionKind>,
    /// The least role that decides.
    pub required_role: Role,
    /// The pilot that it is meant for; once decided, the pilot that decided, and nobody where its author or time did.
    pub assigned_to: Option<String>,
    /// Who asked: the subject of the token or key.
    pub created_by: String,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// When it expires or is escalated, RFC 3339 UTC; absent where never.
    pub expires_at: Option<String>,
    /// The last change, RFC 3339 UTC.
    pub updated_at: Option<String>,
    /// What becomes of it when nobody decides in time.
    pub on_timeout: OnTimeout,
    /// Who is asked then, step by step.
    pub escalation: Vec<EscalationStep>,
    /// How many steps were taken.
    pub escalated: u32,
    /// Approvals so far, where everybody of a step has to agree.
    pub votes: Vec<Vote>,
    /// The pilot that is at it; others cannot decide until the claim ends.
    pub claimed_by: Option<String>,
    /// When the claim lapses, RFC 3339 UTC.
    pub claim_expires_at: Option<String>,
    /// The decision.
    pub decision: Option<Decision>,
    /// Why it was decided, or closed.
    pub action_reason: Option<String>,
    /// When it was decided, expired or closed, RFC 3339 UTC.
    pub action_timestamp: Option<String>,
    /// Where the decision is sent.
    pub callback_url: Option<String>,
    /// In which shape it came.
    pub format: AnswerFormat,
    /// The request that made it, in logs and in the audit trail.
    pub correlation_id: Option<String>,
    /// 1, and one more with each change. A decision names the version that its pilot saw.
    #[schema(minimum = 1)]
    pub version: i64,
}

/// What waits to be run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterventionAction)]
pub struct Action {
    /// The tool's or command's name.
    pub name: String,
    /// Its arguments.
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
    /// SHA-256, in hex, of the canonical JSON (RFC 8785, integers with all their digits) of `{"args": …, "name": …}`.
    pub args_digest: String,
}

/// Where a request stands, for whoever wanted to change it and came too late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterventionStandsAt)]
pub struct StandsAt {
    /// Where it stands.
    pub status: Status,
    /// Its version.
    pub version: i64,
    /// The decision that won.
    pub decision: Option<Decision>,
}

impl Intervention {
    /// The step of the escalation that it stands at; none before the first.
    pub fn step(&self) -> Option<&EscalationStep> {
        let taken = usize::try_from(self.escalated).ok()?;
        self.escalation.get(taken.checked_sub(1)?)
    }

    /// The action that may run: as asked, or as edited. None while undecided, refused, or already redeemed.
    pub fn runnable(&self) -> Option<Action> {
        let (action, decision) = (self.action.as_ref()?, self.decision.as_ref()?);
        if self.status != Status::Approved {
            return None;
        }
        let args = decision.args.clone().unwrap_or_else(|| action.args.clone());
        let args_digest = decision.args_digest.clone().unwrap_or_else(|| action.args_digest.clone());
        Some(Action { name: action.name.clone(), args, args_digest })
    }
}
