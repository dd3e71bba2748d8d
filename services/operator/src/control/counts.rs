//! Counts that are kept as rows change.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use diesel::prelude::*;
use vx11_contracts::intervention::{HistoryEntry, Intervention, InterventionMetrics, PilotCount, Priority, Status};
use vx11_store::AnyConnection;

use super::row::rank;
use super::schema::{intervention_counts as counts, intervention_decisions as decisions};

/// Over how many rows a count is spread.
const PARTS: u64 = 8;
/// How many pilots are named.
const TOP: usize = 10;

#[derive(Insertable)]
#[diesel(table_name = counts)]
struct Count<'a> {
    org_id: &'a str,
    intervention_type: &'a str,
    priority: i16,
    status: &'a str,
    part: i16,
    requests: i64,
}

#[derive(Insertable)]
#[diesel(table_name = decisions)]
struct Decisions<'a> {
    org_id: &'a str,
    pilot_id: &'a str,
    part: i16,
    requests: i64,
    seconds: f64,
}

/// What a transaction changes of counts, written at its end. Many requests share a count, so whoever waits for a request
/// or a unit while holding one could be waited for by its holder; and of those who hold several counts none waits for
/// another one, as all take them in one order.
#[derive(Debug, Default)]
#[must_use = "counts that are not written are wrong from then on"]
pub(super) struct Tally {
    requests: BTreeMap<Key, i64>,
    /// By organisation, pilot and part: how many, and the seconds that they took.
    decisions: BTreeMap<(String, String, i16), (i64, f64)>,
}

impl Tally {
    /// Counts a request that is new.
    pub(super) fn created(&mut self, request: &Intervention) {
        self.add(request, request.status, 1);
    }

    /// Counts a request that went from one status to another.
    pub(super) fn moved(&mut self, request: &Intervention, from: Status) {
        self.add(request, from, -1);
        self.add(request, request.status, 1);
    }

    /// Forgets a request that is removed.
    pub(super) fn removed(&mut self, request: &Intervention) {
        self.add(request, request.status, -1);
    }

    /// Counts whoever ended a wait by deciding.
    pub(super) fn decided(&mut self, org: &str, pilot: &str, entry: &HistoryEntry) {
        let key = (org.to_owned(), pilot.to_owned(), part(&entry.request_id));
        let (requests, seconds) = self.decisions.entry(key).or_default();
        *requests += 1;
        *seconds += entry.resolution_time_seconds;
    }

    fn add(&mut self, request: &Intervention, status: Status, by: i64) {
        let kind = request.intervention_type.as_str().to_owned();
        let part = part(&request.request_id);
        let key = (request.org_id.clone(), kind, rank(request), status.as_str().to_owned(), part);
        *self.requests.entry(key).or_default() += by;
    }

    /// Writes it: the last thing that a transaction waits for.
    pub(super) fn write(self, conn: &mut AnyConnection) -> QueryResult<()> {
        for (key, by) in self.requests.into_iter().filter(|(_, by)| *by != 0) {
            add(conn, &key, by)?;
        }
        self.decisions.into_iter().try_for_each(|(key, sums)| add_decided(conn, &key, sums))
    }
}

/// What names a count.
pub(super) type Key = (String, String, i16, String, i16);

/// Counts of nothing, some of them.
pub(super) fn spent(conn: &mut AnyConnection, limit: i64) -> QueryResult<Vec<Key>> {
    let keys = (counts::org_id, counts::intervention_type, counts::priority, counts::status, counts::part);
    counts::table.filter(counts::requests.eq(0)).select(keys).limit(limit).load(conn)
}

/// Removes a count, if it still is one of nothing.
pub(super) fn remove_spent(conn: &mut AnyConnection, key: Key) -> QueryResult<()> {
    diesel::delete(counts::table.find(key).filter(counts::requests.eq(0))).execute(conn).map(drop)
}

fn add(conn: &mut AnyConnection, (org_id, kind, priority, status, part): &Key, by: i64) -> QueryResult<()> {
    let row = Count { org_id, intervention_type: kind, priority: *priority, status, part: *part, requests: by };
    let key = (counts::org_id, counts::intervention_type, counts::priority, counts::status, counts::part);
    let upsert = diesel::insert_into(counts::table).values(&row).on_conflict(key).do_update();
    let upsert = upsert.set(counts::requests.eq(counts::requests + by));
    match conn {
        AnyConnection::Postgres(conn) => upsert.execute(conn),
        AnyConnection::Sqlite(conn) => upsert.execute(conn),
    }
    .map(drop)
}

fn add_decided(
    conn: &mut AnyConnection,
    (org_id, pilot_id, part): &(String, String, i16),
    (requests, seconds): (i64, f64),
) -> QueryResult<()> {
    let row = Decisions { org_id, pilot_id, part: *part, requests, seconds };
    let key = (decisions::org_id, decisions::pilot_id, decisions::part);
    let upsert = diesel::insert_into(decisions::table).values(&row).on_conflict(key).do_update();
    let more =
        (decisions::requests.eq(decisions::requests + requests), decisions::seconds.eq(decisions::seconds + seconds));
    let upsert = upsert.set(more);
    match conn {
        AnyConnection::Postgres(conn) => upsert.execute(conn),
        AnyConnection::Sqlite(conn) => upsert.execute(conn),
    }
    .map(drop)
}

/// All of an organisation's counts.
pub(super) fn metrics(conn: &mut AnyConnection, org: &str) -> QueryResult<InterventionMetrics> {
    let mut metrics = InterventionMetrics::default();
    let counted: Vec<(String, i16, String, i64)> = counts::table
        .filter(counts::org_id.eq(org))
        .select((counts::intervention_type, counts::priority, counts::status, counts::requests))
        .load(conn)?;
    // Added up in signed numbers: a part may be below zero while another is above.
    let mut by_status = BTreeMap::<Status, i64>::new();
    let (mut by_type, mut by_priority) = (BTreeMap::<_, i64>::new(), BTreeMap::<_, i64>::new());
    for (kind, rank, status, requests) in counted {
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

fn add_decisions(conn: &mut AnyConnection, org: &str, metrics: &mut InterventionMetrics) -> QueryResult<()> {
    let mut rows: Vec<(String, i64, f64)> = decisions::table
        .filter(decisions::org_id.eq(org))
        .select((decisions::pilot_id, decisions::requests, decisions::seconds))
        .load(conn)?;
    let (all, seconds) = rows.iter().fold((0, 0.0), |(all, seconds), row| (all + row.1, seconds + row.2));
    if all > 0 {
        metrics.avg_resolution_time_seconds = seconds / all as f64;
    }
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    let mut pilots: Vec<PilotCount> = Vec::new();
    for (pilot_id, requests, _) in rows.into_iter().filter(|(pilot, ..)| !pilot.starts_with("system:")) {
        let requests = requests.unsigned_abs();
        match pilots.last_mut() {
            Some(last) if last.pilot_id == pilot_id => last.interventions += requests,
            _ => pilots.push(PilotCount { pilot_id, interventions: requests }),
        }
    }
    pilots.sort_by_key(|pilot| std::cmp::Reverse(pilot.interventions));
    pilots.truncate(TOP);
    metrics.top_pilots = pilots;
    Ok(())
}

/// The part that a request is counted in; always the same one.
pub(super) fn part(request_id: &str) -> i16 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(request_id);
    i16::try_from(hash % PARTS).unwrap_or(0)
}
