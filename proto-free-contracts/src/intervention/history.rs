//! What is left of a decided request.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Priority, Status};

/// One row of `intervention_history`: written once, when a request is decided, expires or is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = InterventionHistoryEntry)]
pub struct HistoryEntry {
    /// The request.
    pub request_id: String,
    /// The unit of work that waited.
    pub uow_id: Option<String>,
    /// How it ended: `APPROVED`, `REJECTED`, `EXPIRED`, or `COMPLETED` without a decision. Redeeming does not change it.
    pub status: Status,
    /// How urgent it was.
    pub priority: Priority,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// When it was decided, expired or was closed, RFC 3339 UTC.
    pub completed_at: String,
    /// Seconds from one to the other; 0 for a request that had expired when it was made.
    pub resolution_time_seconds: f64,
    /// Who decided, or whom it was meant for.
    pub assigned_to: Option<String>,
    /// Why.
    pub action_reason: Option<String>,
    /// When the request was archived, RFC 3339 UTC.
    pub archived_at: Option<String>,
}
