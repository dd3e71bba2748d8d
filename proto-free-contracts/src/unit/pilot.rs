//! What pilots say to units.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::TEXT_CHARS;
use super::record::Unit;
use crate::intervention::{InvalidField, REASON_CHARS, limits};

/// `POST /operator/api/pilot/kill-switch`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KillSwitchBody {
    /// Whose units are paused.
    #[schema(min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$")]
    pub instance_id: String,
    /// Why: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// `POST /operator/api/pilot/clarification/{uow_id}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClarificationBody {
    /// What the unit is told: 1 to 10 000 characters.
    #[schema(min_length = 1, max_length = 10_000)]
    pub text: String,
}

/// `POST /operator/api/pilot/waive/{uow_id}/{guard_rule_id}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiveBody {
    /// Why: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// `POST /operator/api/pilot/resume/{uow_id}`
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResumeBody {
    /// Why; at most 1000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1000)]
    pub reason: Option<String>,
}

/// `POST /operator/api/pilot/cancel/{uow_id}`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelUnitBody {
    /// Why: 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// What a kill switch stopped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PausedUnits)]
pub struct Paused {
    /// Whose units.
    pub instance_id: String,
    /// How many were active, and are paused now.
    pub paused: u64,
    /// Up to 100 of them.
    pub units: Vec<Unit>,
}

/// What became of a unit that a pilot ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = CancelledUnit)]
pub struct Cancelled {
    /// Its id.
    pub uow_id: String,
    /// The unit, where it is registered here; a plan of madre's is not.
    pub unit: Option<Unit>,
    /// The interventions that waited for a decision about it, and do not any more.
    pub withdrawn: Vec<String>,
}

impl KillSwitchBody {
    /// Whether every field is within its limits.
    ///
    /// # Errors
    /// The first field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        limits::id("instance_id", &self.instance_id)?;
        limits::filled("reason", &self.reason, REASON_CHARS)
    }
}

impl ClarificationBody {
    /// Whether the text is within its limits.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        limits::filled("text", &self.text, TEXT_CHARS)
    }
}

impl WaiveBody {
    /// Whether there is a reason.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        limits::filled("reason", &self.reason, REASON_CHARS)
    }
}

impl ResumeBody {
    /// Whether the reason is within its limits.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        self.reason.as_deref().map_or(Ok(()), |reason| limits::at_most("reason", reason, REASON_CHARS))
    }
}

impl CancelUnitBody {
    /// Whether there is a reason.
    ///
    /// # Errors
    /// The field that is at fault.
    pub fn validate(&self) -> Result<(), InvalidField> {
        limits::filled("reason", &self.reason, REASON_CHARS)
    }
}
