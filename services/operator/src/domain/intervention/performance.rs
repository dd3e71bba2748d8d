//! How pilots do: how fast they answer, how often they approve, and what expires on them.

use std::collections::BTreeMap;

use vx11_contracts::intervention::{
    HistoryEntry, Performance, PilotPerformance, ResponseTimeBucket, ResponseTimes, Status,
};

/// The bounds of the distribution, in seconds: a request counts where it took at most that long, and longer than the
/// bound before.
pub(crate) const BOUNDS: [u32; 8] = [10, 30, 60, 300, 900, 3600, 14_400, 86_400];

/// The performance of each pilot in `rows`, those with most requests first, then by name.
///
/// A row counts for whoever decided it, or for whom it was meant when it expired. Rows of nobody are left out: those that
/// their author withdrew, or that time approved, are assigned to nobody.
pub(crate) fn by_pilot(rows: &[HistoryEntry]) -> Vec<PilotPerformance> {
    let mut pilots: BTreeMap<&str, Vec<&HistoryEntry>> = BTreeMap::new();
    for row in rows {
        if let Some(pilot) = row.assigned_to.as_deref() {
            pilots.entry(pilot).or_default().push(row);
        }
    }
    let of_each = |(pilot, rows): (&str, Vec<&HistoryEntry>)| PilotPerformance {
        pilot_id: pilot.to_owned(),
        performance: of(&rows),
    };
    let mut performances: Vec<PilotPerformance> = pilots.into_iter().map(of_each).collect();
    performances.sort_by_key(|pilot| std::cmp::Reverse(pilot.performance.total));
    performances
}

/// The performance of all pilots in `rows` together. What expired counts whoever it was meant for.
pub(crate) fn overall(rows: &[HistoryEntry]) -> Performance {
    let counts = |row: &&HistoryEntry| row.assigned_to.is_some() || row.status == Status::Expired;
    of(&rows.iter().filter(counts).collect::<Vec<_>>())
}

fn of(rows: &[&HistoryEntry]) -> Performance {
    let count = |status: Status| rows.iter().filter(|row| row.status == status).count();
    let (approved, rejected, expired) = (count(Status::Approved), count(Status::Rejected), count(Status::Expired));
    let answered = rows.iter().filter(|row| row.status != Status::Expired);
    Performance {
        total: rows.len() as u64,
        approved: approved as u64,
        rejected: rejected as u64,
        expired: expired as u64,
        approval_rate: rate(approved, approved + rejected),
        expiry_rate: rate(expired, rows.len()),
        response_times: response_times(answered.map(|row| row.resolution_time_seconds).collect()),
    }
}

/// The distribution of `seconds`; zeros where there are none.
fn response_times(mut seconds: Vec<f64>) -> ResponseTimes {
    seconds.sort_by(f64::total_cmp);
    let bounds = BOUNDS.iter().copied().map(Some).chain([None]);
    let mut buckets: Vec<_> = bounds.map(|up_to_seconds| ResponseTimeBucket { up_to_seconds, count: 0 }).collect();
    for second in &seconds {
        let place = BOUNDS.partition_point(|bound| f64::from(*bound) < *second);
        buckets[place].count += 1;
    }
    let count = seconds.len();
    #[expect(clippy::cast_precision_loss, reason = "rows of a report are far below 2^52")]
    let mean = if count == 0 { 0.0 } else { seconds.iter().sum::<f64>() / count as f64 };
    ResponseTimes {
        avg_seconds: mean,
        p50_seconds: nearest_rank(&seconds, 50),
        p95_seconds: nearest_rank(&seconds, 95),
        max_seconds: seconds.last().copied().unwrap_or(0.0),
        buckets,
    }
}

/// The percentile by nearest rank of what is sorted; 0 where there is nothing.
fn nearest_rank(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    rank.checked_sub(1).and_then(|place| sorted.get(place)).copied().unwrap_or(0.0)
}

/// 0 of none is 0.
#[expect(clippy::cast_precision_loss, reason = "rows of a report are far below 2^52")]
fn rate(of: usize, to: usize) -> f64 {
    if to == 0 { 0.0 } else { of as f64 / to as f64 }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::intervention::Priority;

    use super::*;

    fn row(pilot: Option<&str>, status: Status, seconds: f64) -> HistoryEntry {
        HistoryEntry {
            request_id: "r".to_owned(),
            uow_id: None,
            status,
            priority: Priority::Normal,
            created_at: "2026-11-21T00:00:00.000Z".to_owned(),
            completed_at: "2026-11-21T00:00:00.000Z".to_owned(),
            resolution_time_seconds: seconds,
            assigned_to: pilot.map(str::to_owned),
            action_reason: None,
            archived_at: None,
        }
    }

    #[test]
    fn rates_count_what_was_decided_and_what_expired() {
        let rows = [
            row(Some("bob"), Status::Approved, 1.0),
            row(Some("ana"), Status::Approved, 10.0),
            row(Some("ana"), Status::Approved, 10.5),
            row(Some("ana"), Status::Rejected, 100_000.0),
            row(Some("ana"), Status::Expired, 3600.0),
            row(None, Status::Expired, 3600.0),
        ];
        let performances = by_pilot(&rows);
        let [ana, bob] = performances.as_slice() else { panic!("{performances:?}") };
        assert_eq!((ana.pilot_id.as_str(), bob.performance.total), ("ana", 1));
        let ana = &ana.performance;
        assert_eq!(ana.total, 4);
        assert!((ana.approval_rate - 2.0 / 3.0).abs() < 1e-9 && (ana.expiry_rate - 0.25).abs() < 1e-9);
        let times = &ana.response_times;
        assert_eq!((times.p50_seconds, times.p95_seconds, times.max_seconds), (10.5, 100_000.0, 100_000.0));
        let counts: Vec<u64> = times.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 0, 1], "what expired was not answered");
        // Withdrawn by its author.
        let all = overall(&[rows.as_slice(), &[row(None, Status::Rejected, 1.0)]].concat());
        assert_eq!((all.total, all.approved, all.rejected, all.expired), (6, 3, 1, 2));
    }

    #[test]
    fn nothing_is_zeros() {
        assert_eq!(by_pilot(&[]), []);
        let all_expired = by_pilot(&[row(Some("ana"), Status::Expired, 5.0)]).remove(0).performance;
        assert_eq!((all_expired.approval_rate, all_expired.expiry_rate), (0.0, 1.0));
        assert_eq!(all_expired.response_times.p95_seconds, 0.0);
    }
}
