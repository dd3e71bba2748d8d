//! Upkeep of the stores: what `POST /madre/power/maintenance/post_task` does and reports.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::intervention::InvalidField;

/// What `log_days` may be.
const LOG_DAYS: RangeInclusive<u32> = 1..=36_500;

/// `POST /madre/power/maintenance/post_task`, and what madre asks of every service that owns a store.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PostTaskRequest {
    /// Delete what is past its retention; `false` only counts it.
    #[serde(default)]
    pub apply: bool,
    /// Why, for the trail.
    #[serde(default)]
    pub reason: Option<String>,
    /// Days that log tables are kept, where not as configured; madre sends 7 in mode `low_power`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 36_500)]
    pub log_days: Option<u32>,
}

impl PostTaskRequest {
    /// Whether `log_days` can be what it says.
    ///
    /// # Errors
    /// Says what it must be.
    pub fn check(&self) -> Result<(), InvalidField> {
        match self.log_days {
            Some(days) if !LOG_DAYS.contains(&days) => {
                Err(InvalidField::new("log_days", format!("must be {} to {}", LOG_DAYS.start(), LOG_DAYS.end())))
            }
            _ => Ok(()),
        }
    }
}

/// The report of `post_task`. Each part maps a store (`operator`, `madre`, `switch`) to what was found or done there;
/// a step that failed has `{"status": "error", "error": "…"}` in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PostTaskReport {
    /// `ok`, or `partial` when a step failed.
    pub status: String,
    /// Where the evidence files are.
    pub out_dir: String,
    /// All stores together, in MiB.
    pub db_size_mb: f64,
    /// Whether retention was executed.
    pub apply_retention: bool,
    /// As sent.
    pub reason: Option<String>,
    /// Integrity checks.
    #[schema(value_type = Object)]
    pub integrity: BTreeMap<String, Value>,
    /// What is or was past its retention.
    #[schema(value_type = Object)]
    pub retention: BTreeMap<String, Value>,
    /// The backups that were made and removed.
    #[schema(value_type = Object)]
    pub backup_rotation: BTreeMap<String, Value>,
    /// Rows by table.
    #[schema(value_type = Object)]
    pub counts: BTreeMap<String, Value>,
    /// Totals and a verdict.
    #[schema(value_type = Object)]
    pub scorecard: BTreeMap<String, Value>,
}
