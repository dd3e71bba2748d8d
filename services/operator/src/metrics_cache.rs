//! Metrics summaries, computed at most once in five minutes for each organisation and period.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vx11_contracts::identity::OrgId;
use vx11_contracts::operator::MetricsSummary;

use crate::domain::period::Period;

/// How long a summary is served.
const TTL: Duration = Duration::from_secs(300);
/// Summaries that are kept.
const MOST: usize = 1000;

/// An organisation, or all together.
type Whose = Option<OrgId>;

/// The last summary of each organisation and period.
#[derive(Debug, Default)]
pub(crate) struct MetricsCache(Mutex<HashMap<(Whose, Period), (Instant, MetricsSummary)>>);

impl MetricsCache {
    /// The summary of `period`, when it is fresh at `now`.
    pub(crate) fn get(&self, whose: &Whose, period: Period, now: Instant) -> Option<MetricsSummary> {
        let summaries = self.0.lock();
        let (computed, summary) = summaries.get(&(whose.clone(), period))?;
        is_fresh(*computed, now).then(|| summary.clone())
    }

    /// Keeps the summary of `period`, computed at `now`, where there is room.
    pub(crate) fn put(&self, whose: Whose, period: Period, now: Instant, summary: MetricsSummary) {
        let mut summaries = self.0.lock();
        if summaries.len() >= MOST {
            summaries.retain(|_, (computed, _)| is_fresh(*computed, now));
        }
        if summaries.len() < MOST {
            summaries.insert((whose, period), (now, summary));
        }
    }
}

fn is_fresh(computed: Instant, now: Instant) -> bool {
    now.duration_since(computed) < TTL
}
