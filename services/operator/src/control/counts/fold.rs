//! Adding up what has changed: once a second, by whichever replica comes first to a row.

use std::collections::BTreeMap;

use diesel::prelude::*;
use vx11_store::AnyConnection;

use super::{changes, counts, decisions};

/// Most changes of one round.
const ROUND: i64 = 1000;

/// How requests were counted.
#[derive(Queryable)]
struct Changed {
    id: i64,
    org_id: String,
    intervention_type: String,
    priority: i16,
    came_from: Option<String>,
    went_to: Option<String>,
    decided_by: Option<String>,
    seconds: Option<f64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Insertable)]
#[diesel(table_name = counts)]
struct Key {
    org_id: String,
    intervention_type: String,
    priority: i16,
    status: String,
}

/// What many changes come to.
#[derive(Default)]
struct Sums {
    requests: BTreeMap<Key, i64>,
    /// By organisation and pilot: how many, and the seconds that they waited.
    decisions: BTreeMap<(String, String), (i64, f64)>,
}

impl Sums {
    fn add(&mut self, change: Changed) {
        let Changed { org_id, intervention_type, priority, came_from, went_to, decided_by, seconds, .. } = change;
        for (status, by) in [(came_from, -1), (went_to, 1)] {
            let Some(status) = status else { continue };
            let (org_id, intervention_type) = (org_id.clone(), intervention_type.clone());
            *self.requests.entry(Key { org_id, intervention_type, priority, status }).or_default() += by;
        }
        if let Some(pilot) = decided_by {
            let sums = self.decisions.entry((org_id, pilot)).or_default();
            *sums = (sums.0 + 1, sums.1 + seconds.unwrap_or_default());
        }
    }
}

/// Adds some changes to the counts; whether there may be more. All who do this take the counts in one order, so that none
/// waits for another one that waits for it.
pub(in crate::control) fn fold(conn: &mut AnyConnection) -> QueryResult<bool> {
    let some = changes::table.order(changes::id).limit(ROUND);
    let some: Vec<Changed> = match conn {
        AnyConnection::Postgres(conn) => some.for_update().skip_locked().load(conn)?,
        // One writes at a time.
        AnyConnection::Sqlite(conn) => some.load(conn)?,
    };
    let is_full = some.len() as i64 == ROUND;
    let ids: Vec<i64> = some.iter().map(|change| change.id).collect();
    let mut sums = Sums::default();
    some.into_iter().for_each(|change| sums.add(change));
    for (key, by) in sums.requests.into_iter().filter(|(_, by)| *by != 0) {
        add(conn, key, by)?;
    }
    for ((org, pilot), more) in sums.decisions {
        add_decided(conn, &org, &pilot, more)?;
    }
    diesel::delete(changes::table.filter(changes::id.eq_any(ids))).execute(conn)?;
    Ok(is_full)
}

/// A count of nothing is removed: types are the callers' own names, so there may be any number of them.
fn add(conn: &mut AnyConnection, key: Key, by: i64) -> QueryResult<()> {
    let same = counts::table.find((&key.org_id, &key.intervention_type, key.priority, &key.status));
    let unique = (counts::org_id, counts::intervention_type, counts::priority, counts::status);
    let insert = diesel::insert_into(counts::table).values((&key, counts::requests.eq(by))).on_conflict(unique);
    let upsert = insert.do_update().set(counts::requests.eq(counts::requests + by));
    match conn {
        AnyConnection::Postgres(conn) => upsert.execute(conn),
        AnyConnection::Sqlite(conn) => upsert.execute(conn),
    }?;
    diesel::delete(same.filter(counts::requests.eq(0))).execute(conn).map(drop)
}

fn add_decided(conn: &mut AnyConnection, org: &str, pilot: &str, (requests, seconds): (i64, f64)) -> QueryResult<()> {
    let sums = (decisions::requests.eq(requests), decisions::seconds.eq(seconds));
    let row = (decisions::org_id.eq(org), decisions::pilot_id.eq(pilot), sums);
    let insert =
        diesel::insert_into(decisions::table).values(row).on_conflict((decisions::org_id, decisions::pilot_id));
    let upsert = insert.do_update().set((
        decisions::requests.eq(decisions::requests + requests),
        decisions::seconds.eq(decisions::seconds + seconds),
    ));
    match conn {
        AnyConnection::Postgres(conn) => upsert.execute(conn),
        AnyConnection::Sqlite(conn) => upsert.execute(conn),
    }
    .map(drop)
}
