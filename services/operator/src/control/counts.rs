//! Counts that are kept as rows change, so that to know them costs the same however many rows there are.
//!
//! Who changes a row writes down how it is counted from then on, and waits for nobody who is counted alike. A moment later
//! the sweeper [adds that up](fold()); until then whoever asks adds it up for itself.

mod fold;

use std::collections::BTreeMap;

use diesel::dsl::{count_star, sum};
use diesel::prelude::*;
use vx11_contracts::intervention::{Intervention, InterventionMetrics, PilotCount, Priority, Status};
use vx11_store::AnyConnection;

use super::row::rank;
use super::schema::{
    intervention_count_changes as changes, intervention_counts as counts, intervention_decisions as decisions,
};

pub(super) use fold::fold;

/// How many pilots are named.
const TOP: usize = 10;

/// How a request is counted from now on.
#[derive(Insertable)]
#[diesel(table_name = changes)]
struct Change<'a> {
    org_id: &'a str,
    intervention_type: &'a str,
    priority: i16,
    came_from: Option<&'a str>,
    went_to: Option<&'a str>,
    decided_by: Option<&'a str>,
    seconds: Option<f64>,
}

impl<'a> Change<'a> {
    fn of(request: &'a Intervention, from: Option<Status>, to: Option<Status>) -> Self {
        Self {
            org_id: &request.org_id,
            intervention_type: request.intervention_type.as_str(),
            priority: rank(request),
            came_from: from.map(Status::as_str),
            went_to: to.map(Status::as_str),
            decided_by: None,
            seconds: None,
        }
    }

    fn write(&self, conn: &mut AnyConnection) -> QueryResult<()> {
        diesel::insert_into(changes::table).values(self).execute(conn).map(drop)
    }
}

/// Counts a request that is new.
pub(super) fn created(conn: &mut AnyConnection, request: &Intervention) -> QueryResult<()> {
    Change::of(request, None, Some(request.status)).write(conn)
}

/// Counts a request that went from one status to another; and who ended its wait by deciding, after so many seconds.
pub(super) fn moved(
    conn: &mut AnyConnection,
    request: &Intervention,
    from: Status,
    decided: Option<(&str, f64)>,
) -> QueryResult<()> {
    if from == request.status && decided.is_none() {
        return Ok(());
    }
    let (decided_by, seconds) = decided.unzip();
    Change { decided_by, seconds, ..Change::of(request, Some(from), Some(request.status)) }.write(conn)
}

/// Forgets a request that is removed.
pub(super) fn removed(conn: &mut AnyConnection, request: &Intervention) -> QueryResult<()> {
    Change::of(request, Some(request.status), None).write(conn)
}

/// All of an organisation's counts.
pub(super) fn metrics(conn: &mut AnyConnection, org: &str) -> QueryResult<InterventionMetrics> {
    let mut metrics = InterventionMetrics::default();
    // Added up in signed numbers: what a request left may be added up before what it came to.
    let mut by_status = BTreeMap::<Status, i64>::new();
    let (mut by_type, mut by_priority) = (BTreeMap::<_, i64>::new(), BTreeMap::<_, i64>::new());
    for (kind, rank, status, requests) in counted(conn, org)? {
        let priority = Priority::from_rank(rank);
        let (Some(priority), Ok(status)) = (priority, status.parse::<Status>()) else { continue };
        *by_status.entry(status).or_default() += requests;
        *by_type.entry(kind).or_default() += requests;
        *by_priority.entry(priority).or_default() += requests;
    }
    for (status, requests) in by_status {
        *metrics.count_mut(status) = requests.unsigned_abs();
        metrics.total_interventions += requests.unsigned_abs();
    }
    metrics.by_type = by_type.into_iter().filter(|(_, n)| *n > 0).map(|(kind, n)| (kind, n.unsigned_abs())).collect();
    metrics.by_priority = by_priority.into_iter().filter(|(_, n)| *n > 0).map(|(p, n)| (p, n.unsigned_abs())).collect();
    add_decisions(conn, org, &mut metrics)?;
    Ok(metrics)
}

/// Type, priority, and the statuses before and after.
type Way = (String, i16, Option<String>, Option<String>);

/// By type, priority and status: what is added up already, and what is not yet.
fn counted(conn: &mut AnyConnection, org: &str) -> QueryResult<Vec<(String, i16, String, i64)>> {
    let mut counted: Vec<_> = counts::table
        .filter(counts::org_id.eq(org))
        .select((counts::intervention_type, counts::priority, counts::status, counts::requests))
        .load(conn)?;
    let how = (changes::intervention_type, changes::priority, changes::came_from, changes::went_to);
    let changed: Vec<(Way, i64)> =
        changes::table.filter(changes::org_id.eq(org)).group_by(how).select((how, count_star())).load(conn)?;
    for ((kind, rank, from, to), requests) in changed {
        counted.extend(from.map(|status| (kind.clone(), rank, status, -requests)));
        counted.extend(to.map(|status| (kind, rank, status, requests)));
    }
    Ok(counted)
}

fn add_decisions(conn: &mut AnyConnection, org: &str, metrics: &mut InterventionMetrics) -> QueryResult<()> {
    let by_pilot = decided(conn, org)?;
    let (all, seconds) = by_pilot.values().fold((0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if all > 0 {
        metrics.avg_resolution_time_seconds = seconds / all as f64;
    }
    let mut pilots: Vec<PilotCount> = by_pilot
        .into_iter()
        .filter(|(pilot, _)| !pilot.starts_with("system:"))
        .map(|(pilot_id, (requests, _))| PilotCount { pilot_id, interventions: requests.unsigned_abs() })
        .collect();
    pilots.sort_by_key(|pilot| std::cmp::Reverse(pilot.interventions));
    pilots.truncate(TOP);
    metrics.top_pilots = pilots;
    Ok(())
}

/// How many requests each has decided, and the seconds that these waited: what is added up already, and what is not yet.
fn decided(conn: &mut AnyConnection, org: &str) -> QueryResult<BTreeMap<String, (i64, f64)>> {
    let stored: Vec<(String, i64, f64)> = decisions::table
        .filter(decisions::org_id.eq(org))
        .select((decisions::pilot_id, decisions::requests, decisions::seconds))
        .load(conn)?;
    let changed: Vec<(String, i64, Option<f64>)> = changes::table
        .filter(changes::org_id.eq(org))
        .filter(changes::decided_by.is_not_null())
        .group_by(changes::decided_by)
        .select((changes::decided_by.assume_not_null(), count_star(), sum(changes::seconds)))
        .load(conn)?;
    let mut decided = BTreeMap::<_, (i64, f64)>::new();
    let changed = changed.into_iter().map(|(pilot, requests, seconds)| (pilot, requests, seconds.unwrap_or_default()));
    for (pilot, requests, seconds) in stored.into_iter().chain(changed) {
        let sums = decided.entry(pilot).or_default();
        *sums = (sums.0 + requests, sums.1 + seconds);
    }
    Ok(decided)
}
