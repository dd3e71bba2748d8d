//! What looks wrong in the stream of requests: bursts, units that ask one pilot after another, and requests that expire
//! because nobody answers.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use vx11_contracts::intervention::{AnomalyKind, InterventionAnomaly, Status};

/// What anomalies are looked for in: one request of the window, in any order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) request_id: String,
    /// Absent where that was not kept yet.
    pub(crate) created_by: Option<String>,
    pub(crate) uow_id: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) status: Status,
    /// Who decided, or whom it was meant for.
    pub(crate) pilot: Option<String>,
}

/// From where on something looks wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Thresholds {
    /// Requests of one author within `burst_seconds`.
    pub(crate) burst: usize,
    pub(crate) burst_seconds: u64,
    /// Requests for one unit within `retry_seconds`, to two pilots or more.
    pub(crate) retries: usize,
    pub(crate) retry_seconds: u64,
    /// The share of ended requests that expired unanswered, of at least `least_ended`.
    pub(crate) expired_share: f64,
    pub(crate) least_ended: usize,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { burst: 20, burst_seconds: 60, retries: 3, retry_seconds: 600, expired_share: 0.3, least_ended: 10 }
    }
}

/// Everything that looks wrong in `samples`, the worst first.
pub(crate) fn anomalies(samples: &[Sample], limits: &Thresholds) -> Vec<InterventionAnomaly> {
    let mut found = bursts(samples, limits);
    found.extend(retries(samples, limits));
    found.extend(unanswered(samples, limits));
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    found
}

/// Authors that ask more in a short time than people can read.
fn bursts(samples: &[Sample], limits: &Thresholds) -> Vec<InterventionAnomaly> {
    let with_author = samples.iter().filter_map(|sample| Some((sample.created_by.as_deref()?, sample)));
    let found = grouped(with_author).into_iter().filter_map(|(author, of_author)| {
        let most = densest(&of_author, limits.burst_seconds);
        let reason = || {
            let (count, seconds) = (most.len(), limits.burst_seconds);
            format!("{author} made {count} requests within {seconds} s; {} are usual at most", limits.burst)
        };
        (most.len() > limits.burst).then(|| anomaly(AnomalyKind::Burst, author, most, limits.burst, reason()))
    });
    found.collect()
}

/// Units that ask again and again and come to more than one pilot: whoever shops for an approval.
fn retries(samples: &[Sample], limits: &Thresholds) -> Vec<InterventionAnomaly> {
    let with_unit = samples.iter().filter_map(|sample| Some((sample.uow_id.as_deref()?, sample)));
    let found = grouped(with_unit).into_iter().filter_map(|(unit, of_unit)| {
        let most = densest(&of_unit, limits.retry_seconds);
        let pilots: BTreeSet<&str> = most.iter().filter_map(|sample| sample.pilot.as_deref()).collect();
        let reason = || {
            let (count, seconds) = (most.len(), limits.retry_seconds);
            format!("{unit} asked {count} times within {seconds} s, and came to {} pilots", pilots.len())
        };
        let wrong = most.len() >= limits.retries && pilots.len() > 1;
        wrong.then(|| anomaly(AnomalyKind::RapidRetry, unit, most, limits.retries, reason()))
    });
    found.collect()
}

/// Whether too many requests expire because nobody answers.
fn unanswered(samples: &[Sample], limits: &Thresholds) -> Option<InterventionAnomaly> {
    let ended: Vec<&Sample> = samples.iter().filter(|sample| !sample.status.is_open()).collect();
    let expired: Vec<&Sample> = ended.iter().copied().filter(|sample| sample.status == Status::Expired).collect();
    let share = ratio(expired.len(), ended.len());
    if ended.len() < limits.least_ended.max(1) || share <= limits.expired_share {
        return None;
    }
    let reason = format!("{} of {} requests expired unanswered", expired.len(), ended.len());
    let mut found = anomaly(AnomalyKind::Unanswered, "", &expired, 1, reason);
    found.subject = None;
    found.score = share / limits.expired_share.max(f64::MIN_POSITIVE);
    Some(found)
}

fn anomaly(kind: AnomalyKind, subject: &str, of: &[&Sample], usual: usize, reason: String) -> InterventionAnomaly {
    /// Most requests that an anomaly names.
    const NAMED: usize = 20;
    InterventionAnomaly {
        kind,
        subject: Some(subject.to_owned()),
        score: ratio(of.len(), usual),
        reason,
        request_ids: of.iter().take(NAMED).map(|sample| sample.request_id.clone()).collect(),
    }
}

fn grouped<'a>(pairs: impl Iterator<Item = (&'a str, &'a Sample)>) -> BTreeMap<&'a str, Vec<&'a Sample>> {
    let mut groups: BTreeMap<&str, Vec<&Sample>> = BTreeMap::new();
    for (key, sample) in pairs {
        groups.entry(key).or_default().push(sample);
    }
    groups.values_mut().for_each(|group| group.sort_by_key(|sample| sample.created_at));
    groups
}

/// The most samples within any `seconds`, of those ordered by time.
fn densest<'a, 'b>(samples: &'b [&'a Sample], seconds: u64) -> &'b [&'a Sample] {
    let (mut from, mut best) = (0, 0..0);
    for to in 0..samples.len() {
        while samples[to].created_at.duration_since(samples[from].created_at).unsigned_abs().as_secs() >= seconds.max(1)
        {
            from += 1;
        }
        if to + 1 - from > best.len() {
            best = from..to + 1;
        }
    }
    &samples[best]
}

#[expect(clippy::cast_precision_loss, reason = "counts of a window are far below 2^52")]
fn ratio(of: usize, to: usize) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}

#[cfg(test)]
mod tests;
