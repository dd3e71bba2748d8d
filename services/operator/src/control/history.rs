//! What is left of requests that were decided, expired or closed.

use diesel::prelude::*;
use vx11_contracts::intervention::{HistoryEntry, Priority};
use vx11_contracts::time;
use vx11_store::AnyConnection;

use super::schema::intervention_history as history;

#[derive(Debug, Insertable, Queryable, Selectable)]
#[diesel(table_name = history)]
struct Entry {
    org_id: String,
    request_id: String,
    uow_id: Option<String>,
    status: String,
    priority: i16,
    created_at: String,
    completed_at: String,
    resolution_time_seconds: f64,
    assigned_to: Option<String>,
    action_reason: Option<String>,
    archived_at: String,
}

/// Keeps `entry`. There is one a request: a second one is refused, and with it the change that brings it.
pub(super) fn add(conn: &mut AnyConnection, org: &str, entry: &HistoryEntry) -> QueryResult<()> {
    let row = Entry {
        org_id: org.to_owned(),
        request_id: entry.request_id.clone(),
        uow_id: entry.uow_id.clone(),
        status: entry.status.as_str().to_owned(),
        priority: entry.priority.rank(),
        created_at: entry.created_at.clone(),
        completed_at: entry.completed_at.clone(),
        resolution_time_seconds: entry.resolution_time_seconds,
        assigned_to: entry.assigned_to.clone(),
        action_reason: entry.action_reason.clone(),
        archived_at: time::now(),
    };
    diesel::insert_into(history::table).values(&row).execute(conn).map(drop)
}

/// The newest of an organisation, or of one request.
pub(super) fn list(
    conn: &mut AnyConnection,
    org: &str,
    request_id: Option<&str>,
    limit: i64,
) -> QueryResult<Vec<HistoryEntry>> {
    let entries = history::table.filter(history::org_id.eq(org)).select(Entry::as_select());
    let newest = (history::completed_at.desc(), history::request_id.desc());
    let entries: Vec<Entry> = match request_id {
        Some(request_id) => entries.filter(history::request_id.eq(request_id)).load(conn)?,
        None => entries.order(newest).limit(limit).load(conn)?,
    };
    Ok(entries.into_iter().filter_map(read).collect())
}

/// The newest of an organisation that ended since then; of those of one pilot where one is named.
pub(super) fn since(
    conn: &mut AnyConnection,
    org: &str,
    since: &str,
    pilot: Option<&str>,
    limit: i64,
) -> QueryResult<Vec<HistoryEntry>> {
    let entries = history::table.filter(history::org_id.eq(org)).filter(history::completed_at.ge(since));
    let entries = entries.order(history::completed_at.desc()).limit(limit).select(Entry::as_select());
    let entries: Vec<Entry> = match pilot {
        Some(pilot) => entries.filter(history::assigned_to.eq(pilot)).load(conn)?,
        None => entries.load(conn)?,
    };
    Ok(entries.into_iter().filter_map(read).collect())
}

/// `None`: of a later version.
fn read(row: Entry) -> Option<HistoryEntry> {
    Some(HistoryEntry {
        request_id: row.request_id,
        uow_id: row.uow_id,
        status: row.status.parse().ok()?,
        priority: Priority::from_rank(row.priority)?,
        created_at: row.created_at,
        completed_at: row.completed_at,
        resolution_time_seconds: row.resolution_time_seconds,
        assigned_to: row.assigned_to,
        action_reason: row.action_reason,
        archived_at: Some(row.archived_at),
    })
}
