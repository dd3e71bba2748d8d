//! `copilot_actions_log`: the audit trail that every service with a store keeps, in a table of the same shape.
//!
//! A service creates the table and its indexes in its own migrations, decides what is worth a row, and reads its own
//! rows only. Each row has its organisation, and who reads says whose rows.

mod marks;
#[cfg(test)]
mod tests;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Nullable, Text};
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;

use self::schema::copilot_actions_log as log;
use crate::{AnyConnection, OF_TENANTS};

/// Of each database its own: schemas of other services have trails, and locks, of their own.
const LOCK: &str = "SELECT pg_advisory_xact_lock('copilot_actions_log'::regclass::oid::bigint)";

struct NewAction<'a> {
    org_id: &'a str,
    timestamp: &'a str,
    source: &'a str,
    session_id: Option<&'a str>,
    correlation_id: &'a str,
    action: &'a str,
    action_type: &'a str,
    target: Option<&'a str>,
    status: &'a str,
    mode: &'a str,
    notes: Option<&'a str>,
}
crate::insert! {
    NewAction<'_> into copilot_actions_log {
        org_id: Text,
        timestamp: Text,
        source: Text,
        session_id: Nullable<Text>,
        correlation_id: Text,
        action: Text,
        action_type: Text,
        target: Nullable<Text>,
        status: Text,
        mode: Text,
        notes: Nullable<Text>,
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = log)]
struct ActionRow {
    id: i64,
    org_id: String,
    timestamp: String,
    source: String,
    session_id: Option<String>,
    correlation_id: String,
    action: String,
    action_type: String,
    target: Option<String>,
    status: String,
    mode: String,
    notes: Option<String>,
}

/// Which rows of the trail to list; every condition must hold.
#[derive(Clone, Debug, Default)]
pub struct ActionQuery {
    /// Of this request.
    pub correlation_id: Option<String>,
    /// Of this session.
    pub session_id: Option<String>,
    /// This action.
    pub action: Option<String>,
    /// This class.
    pub action_type: Option<String>,
    /// With this outcome.
    pub status: Option<String>,
    /// At or after this time, RFC 3339 UTC.
    pub since: Option<String>,
    /// Before this time, RFC 3339 UTC.
    pub until: Option<String>,
    /// With a smaller id.
    pub before_id: Option<i64>,
}

/// Adds rows; their `id` is not looked at. The new ids are below [`newest_id`]'s: `RETURNING` would make SQLite keep each row
/// in a table of its own first.
///
/// Who reads goes on from the greatest id that it has seen. So ids must be seen in their order, whoever writes: on
/// PostgreSQL one transaction at a time gives out ids, until it is committed. It should be the last that a transaction does.
///
/// # Errors
/// Those of the database.
pub fn append(conn: &mut AnyConnection, actions: &[&Action]) -> QueryResult<()> {
    if let AnyConnection::Postgres(conn) = conn {
        conn.batch_execute(LOCK)?;
    }
    let rows: Vec<NewAction<'_>> = actions.iter().map(|action| NewAction::of(action)).collect();
    NewAction::insert(conn, &rows.iter().collect::<Vec<_>>())
}

impl<'a> NewAction<'a> {
    fn of(action: &'a Action) -> Self {
        Self {
            org_id: action.org_id.as_str(),
            timestamp: &action.timestamp,
            source: &action.source,
            session_id: action.session_id.as_deref(),
            correlation_id: &action.correlation_id,
            action: &action.action,
            action_type: &action.action_type,
            target: action.target.as_deref(),
            status: &action.status,
            mode: &action.mode,
            notes: action.notes.as_deref(),
        }
    }
}

/// Up to `limit` rows of `org` that fit `query`, newest first.
///
/// # Errors
/// Those of the database.
pub fn list(conn: &mut AnyConnection, org: &OrgId, query: ActionQuery, limit: u32) -> QueryResult<Vec<Action>> {
    let mut rows = log::table.filter(log::org_id.eq(org.as_str())).select(ActionRow::as_select()).into_boxed();
    match query.correlation_id {
        // Found by that: there are fewer of one request than of one organisation.
        Some(id) => rows = rows.filter(log::correlation_id.eq(id)),
        None if !org.is_platform() => rows = rows.filter(sql::<Bool>(OF_TENANTS)),
        None => {}
    }
    if let Some(id) = query.session_id {
        rows = rows.filter(log::session_id.eq(id));
    }
    if let Some(action) = query.action {
        rows = rows.filter(log::action.eq(action));
    }
    if let Some(class) = query.action_type {
        rows = rows.filter(log::action_type.eq(class));
    }
    if let Some(status) = query.status {
        rows = rows.filter(log::status.eq(status));
    }
    if let Some(time) = query.since {
        rows = rows.filter(log::id.ge(marks::first_id_since(conn, &time)?)).filter(log::timestamp.ge(time));
    }
    if let Some(time) = query.until {
        rows = rows.filter(log::id.le(marks::last_id_before(conn, &time)?)).filter(log::timestamp.lt(time));
    }
    if let Some(id) = query.before_id {
        rows = rows.filter(log::id.lt(id));
    }
    let rows: Vec<ActionRow> = rows.order(log::id.desc()).limit(limit.into()).load(conn)?;
    Ok(rows.into_iter().map(Action::from).collect())
}

/// Up to `limit` rows of `org` after `id`, oldest first.
///
/// # Errors
/// Those of the database.
pub fn after(conn: &mut AnyConnection, org: &OrgId, id: i64, limit: u32) -> QueryResult<Vec<Action>> {
    let after = log::id.gt(id).and(log::org_id.eq(org.as_str()));
    let mut rows = log::table.filter(after).select(ActionRow::as_select()).into_boxed();
    if !org.is_platform() {
        rows = rows.filter(sql::<Bool>(OF_TENANTS));
    }
    let rows: Vec<ActionRow> = rows.order(log::id).limit(limit.into()).load(conn)?;
    Ok(rows.into_iter().map(Action::from).collect())
}

/// Up to `limit` rows of all organisations after `id`, oldest first: for who hands each to its own.
///
/// # Errors
/// Those of the database.
pub fn of_all_after(conn: &mut AnyConnection, id: i64, limit: u32) -> QueryResult<Vec<Action>> {
    let after = log::table.filter(log::id.gt(id)).order(log::id);
    let rows: Vec<ActionRow> = after.limit(limit.into()).select(ActionRow::as_select()).load(conn)?;
    Ok(rows.into_iter().map(Action::from).collect())
}

/// The id of the newest row; 0 when there is none.
///
/// # Errors
/// Those of the database.
pub fn newest_id(conn: &mut AnyConnection) -> QueryResult<i64> {
    // Not `first`: SQLite plans a query anew whenever a `LIMIT` is bound.
    let newest: Option<i64> = log::table.select(diesel::dsl::max(log::id)).get_result(conn)?;
    Ok(newest.unwrap_or(0))
}

impl From<ActionRow> for Action {
    fn from(row: ActionRow) -> Self {
        Self {
            id: row.id,
            // What no organisation can be called is no other's than the platform's.
            org_id: row.org_id.parse().unwrap_or_default(),
            timestamp: row.timestamp,
            source: row.source,
            session_id: row.session_id,
            correlation_id: row.correlation_id,
            action: row.action,
            action_type: row.action_type,
            target: row.target,
            status: row.status,
            mode: row.mode,
            notes: row.notes,
        }
    }
}

mod schema {
    diesel::table! {
        copilot_actions_log (id) {
            id -> BigInt,
            org_id -> Text,
            timestamp -> Text,
            source -> Text,
            session_id -> Nullable<Text>,
            correlation_id -> Text,
            action -> Text,
            action_type -> Text,
            target -> Nullable<Text>,
            status -> Text,
            mode -> Text,
            notes -> Nullable<Text>,
        }
    }
}
