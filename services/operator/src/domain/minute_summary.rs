//! A summary of requests that can be added to and merged: counts, and a histogram of latencies.
//!
//! The histogram has one bucket a millisecond below 1000 and keeps three significant digits above, so nearest-rank
//! percentiles are exact where people look and at most 0.5 % off elsewhere, and a bucket count of a few hundred bounds
//! it whatever the traffic. (The idea is HdrHistogram's; here it is small enough to be stored as JSON every minute.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vx11_contracts::operator::{Latencies, RequestCounts};

use crate::store::NewPerformance;

/// The sum of some requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MinuteSummary {
    by_endpoint: BTreeMap<String, u64>,
    by_status: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    providers: BTreeMap<String, u64>,
    /// Requests by latency in milliseconds, rounded as the module says.
    latencies: BTreeMap<u64, u64>,
    sum_ms: u64,
    min_ms: u64,
    max_ms: u64,
}

impl MinuteSummary {
    /// Adds one request.
    pub(crate) fn add(&mut self, row: &NewPerformance) {
        let latency = u64::try_from(row.latency_ms).unwrap_or(0);
        count(&mut self.by_endpoint, &row.endpoint);
        count(&mut self.by_status, &row.status_code.to_string());
        if let Some(kind) = &row.error_type {
            count(&mut self.errors, kind);
        }
        if let Some(provider) = &row.provider {
            count(&mut self.providers, provider);
        }
        self.min_ms = if self.latencies.is_empty() { latency } else { self.min_ms.min(latency) };
        self.max_ms = self.max_ms.max(latency);
        self.sum_ms += latency;
        *self.latencies.entry(three_digits(latency)).or_default() += 1;
    }

    /// Adds what `other` sums up.
    pub(crate) fn merge(&mut self, other: Self) {
        if other.latencies.is_empty() {
            return;
        }
        self.min_ms = if self.latencies.is_empty() { other.min_ms } else { self.min_ms.min(other.min_ms) };
        self.max_ms = self.max_ms.max(other.max_ms);
        self.sum_ms += other.sum_ms;
        for (into, from) in [
            (&mut self.by_endpoint, other.by_endpoint),
            (&mut self.by_status, other.by_status),
            (&mut self.errors, other.errors),
            (&mut self.providers, other.providers),
        ] {
            merge_counts(into, from);
        }
        merge_counts(&mut self.latencies, other.latencies);
    }

    /// How many requests.
    pub(crate) fn total(&self) -> u64 {
        self.latencies.values().sum()
    }

    /// Requests, counted.
    pub(crate) fn request_counts(&self) -> RequestCounts {
        RequestCounts { total: self.total(), by_endpoint: self.by_endpoint.clone(), by_status: self.by_status.clone() }
    }

    /// Failures by kind.
    pub(crate) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    /// Answers by who gave them.
    pub(crate) fn providers(&self) -> &BTreeMap<String, u64> {
        &self.providers
    }

    /// Latencies; zeros when there were no requests.
    pub(crate) fn latencies(&self) -> Latencies {
        let total = self.total();
        if total == 0 {
            return Latencies::default();
        }
        Latencies {
            p50_ms: self.percentile(50, total),
            p95_ms: self.percentile(95, total),
            p99_ms: self.percentile(99, total),
            avg_ms: self.sum_ms as f64 / total as f64,
            min_ms: self.min_ms as f64,
            max_ms: self.max_ms as f64,
        }
    }

    /// The smallest latency that at least `percent` of the requests did not exceed (nearest rank).
    fn percentile(&self, percent: u64, total: u64) -> f64 {
        let rank = (percent * total).div_ceil(100);
        let mut seen = 0;
        let found = self.latencies.iter().find(|(_, n)| {
            seen += **n;
            seen >= rank
        });
        found.map_or(self.max_ms, |(latency, _)| (*latency).min(self.max_ms)) as f64
    }

    /// As it is stored.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// From how it is stored; `None` for what another version wrote.
    pub(crate) fn from_json(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(n) => *n += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}

fn merge_counts<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, n) in from {
        *into.entry(key).or_default() += n;
    }
}

/// Rounds to three significant digits.
fn three_digits(value: u64) -> u64 {
    let mut step = 1;
    while value / step >= 1000 {
        step *= 10;
    }
    (value + step / 2) / step * step
}

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::OrgId;
    use vx11_store::OrgColumn;

    use super::*;

    fn row(latency_ms: i64) -> NewPerformance {
        NewPerformance {
            org_id: OrgColumn(OrgId::platform()),
            timestamp: "2026-11-21T04:05:06.789Z".to_owned(),
            correlation_id: String::new(),
            session_id: None,
            endpoint: "/operator/api/chat".to_owned(),
            method: "POST",
            status_code: 200,
            latency_ms,
            provider: Some("switch".to_owned()),
            degraded: false,
            error_type: None,
        }
    }

    fn summary(latencies: impl IntoIterator<Item = i64>) -> MinuteSummary {
        latencies.into_iter().fold(MinuteSummary::default(), |mut sum, latency| {
            sum.add(&row(latency));
            sum
        })
    }

    #[test]
    fn an_empty_window_is_zeros() {
        assert_eq!(MinuteSummary::default().latencies(), Latencies::default());
        assert_eq!(MinuteSummary::default().request_counts().total, 0);
    }

    #[test]
    fn percentiles_are_nearest_rank() {
        let latencies = summary([15, 20, 35, 40, 50]).latencies();
        assert_eq!((latencies.p50_ms, latencies.p95_ms, latencies.p99_ms), (35.0, 50.0, 50.0));
        assert_eq!((latencies.min_ms, latencies.max_ms, latencies.avg_ms), (15.0, 50.0, 32.0));
        assert_eq!(summary(1..=100).latencies().p95_ms, 95.0);
    }

    #[test]
    fn merging_is_the_same_as_adding_to_one() {
        let mut merged = summary(0..500);
        merged.merge(summary(500..40_000));
        merged.merge(MinuteSummary::default());
        assert_eq!(merged, summary(0..40_000));
        let mut from_empty = MinuteSummary::default();
        from_empty.merge(summary([7, 9]));
        assert_eq!(from_empty, summary([7, 9]));
    }

    #[test]
    fn long_latencies_keep_three_digits_and_few_buckets() {
        let sum = summary(0..100_000);
        assert!(sum.latencies.len() < 3000, "{}", sum.latencies.len());
        let p50 = sum.latencies().p50_ms;
        assert!((p50 - 49_999.0).abs() / 49_999.0 < 0.005, "{p50}");
    }

    #[test]
    fn it_survives_being_stored() {
        let sum = summary([1, 1000, 123_456]);
        assert_eq!(MinuteSummary::from_json(&sum.to_json()), Some(sum));
    }
}
