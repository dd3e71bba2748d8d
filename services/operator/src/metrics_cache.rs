//! Metrics summaries, computed at most once in five minutes for each period.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vx11_contracts::operator::MetricsSummary;

use crate::domain::period::Period;

/// How long a summary is served.
const TTL: Duration = Duration::from_secs(300);

/// The last summary of each period.
#[derive(Debug, Default)]
pub(crate) struct MetricsCache(Mutex<HashMap<Period, (Instant, MetricsSummary)>>);

impl MetricsCache {
    /// The summary of `period`, when it is fresh at `now`.
    pub(crate) fn get(&self, period: Period, now: Instant) -> Option<MetricsSummary> {
        let summaries = self.0.lock();
        let (computed, summary) = summaries.get(&period)?;
        (now.duration_since(*computed) < TTL).then(|| summary.clone())
    }

    /// Keeps the summary of `period`, computed at `now`.
    pub(crate) fn put(&self, period: Period, now: Instant, summary: MetricsSummary) {
        self.0.lock().insert(period, (now, summary));
    }
}
