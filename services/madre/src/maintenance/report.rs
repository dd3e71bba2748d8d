//! What the stores reported, put together part by part.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vx11_contracts::maintenance::PostTaskReport;
use vx11_store::upkeep::StoreReport;

use super::scorecard;

/// What each store reported, or why it did not.
pub(super) struct Findings(BTreeMap<&'static str, Result<StoreReport, String>>);

impl Findings {
    pub(super) fn new<const N: usize>(stores: [(&'static str, Result<StoreReport, String>); N]) -> Self {
        Self(stores.into())
    }

    /// The report, still without evidence.
    pub(super) fn report(&self, reason: Option<String>) -> PostTaskReport {
        let integrity = self.part(|store| &store.integrity);
        let retention = self.part(|store| &store.retention);
        let backup_rotation = self.part(|store| &store.backup_rotation);
        let counts = self.part(|store| &store.counts);
        let parts = [&integrity, &retention, &backup_rotation, &counts, &self.schema()];
        let has_failed =
            parts.iter().any(|part| part.values().any(is_failure)) || retention.values().any(has_failed_table);
        let size_bytes = self.0.values().flatten().map(|store| store.size_bytes).sum();
        PostTaskReport {
            status: if has_failed { "partial" } else { "ok" }.to_owned(),
            out_dir: String::new(),
            db_size_mb: mebibytes(size_bytes),
            apply_retention: retention.values().any(|retention| retention["applied"] == true),
            reason,
            scorecard: scorecard::of(&self.0),
            integrity,
            retention,
            backup_rotation,
            counts,
        }
    }

    /// Tables, columns and indexes by store.
    pub(super) fn schema(&self) -> BTreeMap<String, Value> {
        self.part(|store| &store.schema)
    }

    fn part(&self, part: impl Fn(&StoreReport) -> &Value) -> BTreeMap<String, Value> {
        let of = |store: &Result<StoreReport, String>| match store {
            Ok(store) => part(store).clone(),
            Err(error) => json!({ "status": "error", "error": error }),
        };
        self.0.iter().map(|(name, store)| ((*name).to_owned(), of(store))).collect()
    }
}

/// Whether a step stands as failed.
pub(super) fn is_failure(step: &Value) -> bool {
    step["status"] == "error"
}

/// Whether retention of one table failed.
pub(super) fn has_failed_table(retention: &Value) -> bool {
    retention["tables"].as_array().is_some_and(|tables| tables.iter().any(|table| table["error"].is_string()))
}

/// `bytes` in MiB with two decimals.
#[expect(clippy::cast_precision_loss, reason = "a rounded figure for people")]
pub(super) fn mebibytes(bytes: u64) -> f64 {
    (bytes as f64 / f64::from(1 << 20) * 100.0).round() / 100.0
}
