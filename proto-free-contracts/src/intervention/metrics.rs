//! How many requests there are, and how long they take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Priority, Status};

/// `GET /operator/api/interventions/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InterventionMetrics {
    /// All.
    pub total_interventions: u64,
    /// Waiting.
    pub pending_interventions: u64,
    /// Claimed.
    pub in_progress_interventions: u64,
    /// Approved, and not redeemed yet.
    pub approved_interventions: u64,
    /// Rejected, and not redeemed yet.
    pub rejected_interventions: u64,
    /// Expired.
    pub expired_interventions: u64,
    /// Redeemed or closed.
    pub completed_interventions: u64,
    /// Mean of the seconds from a request to its decision; 0 where nothing was decided.
    pub avg_resolution_time_seconds: f64,
    /// By type.
    pub by_type: BTreeMap<String, u64>,
    /// By priority.
    pub by_priority: BTreeMap<Priority, u64>,
    /// Who decided most, at most ten.
    #[schema(max_items = 10)]
    pub top_pilots: Vec<PilotCount>,
}

impl InterventionMetrics {
    /// The count of one status.
    pub fn count_mut(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Pending => &mut self.pending_interventions,
            Status::InProgress => &mut self.in_progress_interventions,
            Status::Approved => &mut self.approved_interventions,
            Status::Rejected => &mut self.rejected_interventions,
            Status::Expired => &mut self.expired_interventions,
            Status::Completed => &mut self.completed_interventions,
        }
    }
}

/// How many requests a pilot decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PilotCount {
    /// The pilot.
    pub pilot_id: String,
    /// How many.
    pub interventions: u64,
}
