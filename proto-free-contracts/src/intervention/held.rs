//! What the caller of a held request is answered while it waits for a person.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Intervention, Status};

/// The address that an intervention has at the edge.
const ADDRESS: &str = "/operator/api/interventions/";

/// 202: a rule of the gateway holds the request until a person has decided.
///
/// The same request again with the header `x-vx11-intervention` and the intervention's id goes on once it is approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = HeldRequest)]
pub struct Held {
    /// Always `held`.
    pub status: HeldStatus,
    /// A sentence for a person.
    pub detail: String,
    /// What waits for a decision.
    pub intervention: HeldIntervention,
    /// When it makes sense to ask again, in whole seconds.
    pub retry_after: u64,
    /// The request that is held.
    pub correlation_id: String,
    /// The session of a chat that is held: one that named none has to name this one when it comes again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

/// The word that tells a held request from an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeldStatus {
    /// It waits for a person.
    #[default]
    Held,
}

/// The intervention that a request is held by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeldIntervention {
    /// Its id.
    pub id: String,
    /// Its address at the edge.
    pub href: String,
    /// Where it stands: `PENDING` or `IN_PROGRESS`.
    pub status: Status,
    /// When it expires or is escalated, RFC 3339 UTC; absent where never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
}

impl From<&Intervention> for HeldIntervention {
    fn from(request: &Intervention) -> Self {
        let id = request.request_id.clone();
        Self { href: format!("{ADDRESS}{id}"), id, status: request.status, expires_at: request.expires_at.clone() }
    }
}
