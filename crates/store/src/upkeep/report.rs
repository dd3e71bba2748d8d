//! All of a store's upkeep in one go, each step reporting for itself.

use std::fmt::Display;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Depth, RetentionMode, RetentionRule};
use crate::Database;

/// Backups that are kept.
const KEPT_BACKUPS: usize = 2;
/// Above this size retention is executed without being asked for.
const LARGE_BYTES: u64 = 500 * 1024 * 1024;

/// What to do.
#[derive(Clone, Debug)]
pub struct Upkeep {
    /// Where backups go.
    pub backups: PathBuf,
    /// How long tables keep their rows.
    pub rules: Vec<RetentionRule>,
    /// Delete what is past its retention; `false` only counts it, unless it is a SQLite file larger than 500 MiB.
    pub apply: bool,
}

/// What was found and done. A step that failed is `{"status": "error", "error": "…"}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StoreReport {
    /// The SQLite file and its write-ahead log, or PostgreSQL's tables and indexes, before retention.
    pub size_bytes: u64,
    /// [`IntegrityReport`](super::IntegrityReport).
    #[schema(value_type = Object)]
    pub integrity: Value,
    /// [`RetentionReport`](super::RetentionReport).
    #[schema(value_type = Object)]
    pub retention: Value,
    /// [`BackupReport`](super::BackupReport); on PostgreSQL `{"status": "elsewhere"}`.
    #[schema(value_type = Object)]
    pub backup_rotation: Value,
    /// Rows by table.
    #[schema(value_type = Object)]
    pub counts: Value,
    /// Tables with their columns and indexes: a list, or what kept them from being listed.
    #[schema(value_type = Value)]
    pub schema: Value,
}

impl Database {
    /// Checks, backs up, trims and counts the store. It never fails: each step reports for itself.
    ///
    /// The backup comes before retention, so that what retention deletes is in it; and not before the check, so that a
    /// damaged file never replaces a good backup. Nothing is deleted from a damaged file.
    pub async fn upkeep(&self, upkeep: Upkeep) -> StoreReport {
        let size_bytes = self.size_bytes().await.unwrap_or(0);
        let integrity = self.integrity(Depth::Full).await;
        let sound = matches!(&integrity, Ok(report) if report.state != super::IntegrityState::Critical);
        let backup_rotation = if sound {
            match self.backup(upkeep.backups, KEPT_BACKUPS).await {
                Ok(None) => json!({ "status": "elsewhere", "note": "PostgreSQL is backed up by who runs it" }),
                made => step(made),
            }
        } else {
            failed("not made: the store did not pass its integrity check")
        };
        let is_large = self.place().sqlite().is_some() && size_bytes > LARGE_BYTES;
        let mode = match sound && (upkeep.apply || is_large) {
            true => RetentionMode::Apply,
            false => RetentionMode::Plan,
        };
        let retention = step(self.retention(upkeep.rules, mode).await);
        let counts = self.row_counts().await.map(|tables| {
            let rows = tables.into_iter().map(|table| (table.table, json!(table.rows)));
            Value::Object(rows.collect())
        });
        StoreReport {
            size_bytes,
            integrity: step(integrity),
            retention,
            backup_rotation,
            counts: step(counts),
            schema: step(self.schema_map().await),
        }
    }
}

fn step<T: Serialize, E: Display>(outcome: Result<T, E>) -> Value {
    match outcome {
        Ok(done) => serde_json::to_value(done).unwrap_or_else(failed),
        Err(error) => failed(error),
    }
}

fn failed(error: impl Display) -> Value {
    json!({ "status": "error", "error": error.to_string() })
}
