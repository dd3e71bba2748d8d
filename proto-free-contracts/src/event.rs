//! The live event stream: the tail of `copilot_actions_log`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::identity::OrgId;

/// One row of `copilot_actions_log`: something that was done, by whom, to what.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Action {
    /// Row id; the SSE `id:`.
    pub id: i64,
    /// Whose row it is; the platform's own where it is of no other organisation.
    #[serde(default)]
    pub org_id: OrgId,
    /// RFC 3339 UTC.
    pub timestamp: String,
    /// The service that did it.
    pub source: String,
    /// The conversation, where there is one.
    pub session_id: Option<String>,
    /// The request.
    pub correlation_id: String,
    /// What was done, such as `chat`.
    pub action: String,
    /// Its class, and the SSE event's name: `service_status`, `feature_toggle`, `performance_milestone`; any other is
    /// sent as `copilot_action`.
    pub action_type: String,
    /// What it was done to.
    pub target: Option<String>,
    /// How it ended, such as `ok` or `error`.
    pub status: String,
    /// `normal` or `degraded`.
    pub mode: String,
    /// More, as JSON text.
    pub notes: Option<String>,
}

/// `service_status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatusEvent {
    /// The service.
    pub service: String,
    /// `up`, `down` or `degraded`.
    pub status: String,
    /// RFC 3339 UTC.
    pub timestamp: String,
    /// The request that noticed.
    pub correlation_id: String,
}

/// `feature_toggle`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeatureToggleEvent {
    /// The feature.
    pub feature: String,
    /// `on` or `off`.
    pub status: String,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

/// `performance_milestone`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PerformanceMilestoneEvent {
    /// What was measured.
    pub metric: String,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

/// The `data` of an event of the stream; which it is, the event's name says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum StreamedEvent {
    /// `copilot_action`.
    Action(Action),
    /// `service_status`.
    ServiceStatus(ServiceStatusEvent),
    /// `feature_toggle`.
    FeatureToggle(FeatureToggleEvent),
    /// `performance_milestone`.
    PerformanceMilestone(PerformanceMilestoneEvent),
    /// `intervention_new_request`, `intervention_status_changed`, `intervention_action_completed`.
    Intervention(InterventionTold),
    /// `unit_status_changed`.
    Unit(UnitTold),
}

/// What became of an intervention. Of the own organisation's there is more: what the socket tells of it, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InterventionTold {
    /// Which; of another organisation's, a name that only tells it from others.
    pub request_id: String,
    /// Whose.
    pub org_id: String,
    /// Its version from then on.
    pub version: i64,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

/// What became of a unit of work. Of the own organisation's there is more: its instance, step and rule, and by whom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UnitTold {
    /// Which; of another organisation's, a name that only tells it from others.
    pub uow_id: String,
    /// Whose.
    pub org_id: String,
    /// Its version from then on.
    pub version: i64,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

/// `POST /operator/api/events/sse-token`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SseToken {
    /// Works as `?token=` on streams only.
    pub sse_token: String,
    /// Seconds it stays valid.
    pub ttl_sec: u32,
    /// Where to use it.
    pub endpoint: String,
}
