//! Appending a row: the head moves on, and the row is what it moved on to.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::result::Error;
use diesel::sql_types::{Binary, Nullable, Text};
use diesel::{pg::Pg, sqlite::SqliteConnection};
use vx11_identity::audit_chain::Head;
use vx11_store::AnyConnection;

use super::super::schema::{audit_heads, audit_log};
use super::read::head;
use crate::domain::audit::{Entry, Fields};

/// Appends `entry` to the log of `org`, as the last thing that its transaction does.
///
/// # Errors
/// When the database does not answer, or refuses it.
pub(in crate::control) fn append(conn: &mut AnyConnection, org: &str, entry: &Entry) -> QueryResult<()> {
    let details = serde_json::to_string(&entry.details).map_err(|error| Error::SerializationError(Box::new(error)))?;
    let fields = Fields {
        org,
        at: &entry.at,
        actor: &entry.actor,
        actor_kind: entry.actor_kind().as_str(),
        action: &entry.action,
        target_kind: entry.target.as_ref().map(|(kind, _)| *kind),
        target_id: entry.target.as_ref().map(|(_, id)| id.as_str()),
        outcome: entry.outcome.as_str(),
        correlation_id: entry.origin.correlation_id.as_deref(),
        client: entry.origin.client.as_deref(),
        details: &details,
    };
    match conn {
        AnyConnection::Postgres(conn) => {
            let canonical = fields.canonical();
            AppendOnPostgres { fields, canonical: canonical.as_bytes() }.execute(conn).map(drop)
        }
        AnyConnection::Sqlite(conn) => append_on_sqlite(conn, &fields),
    }
}

/// One writes at a time, so what is read here is what is followed.
fn append_on_sqlite(conn: &mut SqliteConnection, fields: &Fields<'_>) -> QueryResult<()> {
    let stored: Option<(i64, String)> =
        audit_heads::table.find(fields.org).select((audit_heads::seq, audit_heads::hash)).first(conn).optional()?;
    let is_first = stored.is_none();
    let before = stored.map_or(Head::START, head);
    let entry = before.follow(fields.canonical());
    let (seq, hash) = (entry.sequence.cast_signed(), entry.hash.to_string());
    let row = (
        audit_log::org_id.eq(fields.org),
        audit_log::seq.eq(seq),
        audit_log::at.eq(fields.at),
        audit_log::actor.eq(fields.actor),
        audit_log::actor_kind.eq(fields.actor_kind),
        audit_log::action.eq(fields.action),
        audit_log::target_kind.eq(fields.target_kind),
        audit_log::target_id.eq(fields.target_id),
        audit_log::outcome.eq(fields.outcome),
        audit_log::correlation_id.eq(fields.correlation_id),
        audit_log::client.eq(fields.client),
        audit_log::details.eq(fields.details),
        audit_log::hash.eq(&hash),
    );
    diesel::insert_into(audit_log::table).values(row).execute(conn)?;
    let next = (audit_heads::seq.eq(seq), audit_heads::hash.eq(&hash));
    if is_first {
        diesel::insert_into(audit_heads::table).values((audit_heads::org_id.eq(fields.org), next)).execute(conn)?;
    } else {
        diesel::update(audit_heads::table.find(fields.org)).set(next).execute(conn)?;
    }
    Ok(())
}

/// All of it in one statement: PostgreSQL makes the hash itself, so that the head is locked for no way there and back
/// but the commit's.
struct AppendOnPostgres<'a> {
    fields: Fields<'a>,
    canonical: &'a [u8],
}

/// Prepared once for each connection.
impl QueryId for AppendOnPostgres<'_> {
    type QueryId = AppendOnPostgres<'static>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<Conn> RunQueryDsl<Conn> for AppendOnPostgres<'_> {}

impl QueryFragment<Pg> for AppendOnPostgres<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let Fields { org, at, actor, actor_kind, action, .. } = &self.fields;
        out.push_sql("WITH entry AS (SELECT ");
        out.push_bind_param::<Text, _>(org)?;
        out.push_sql(" AS org_id, ");
        out.push_bind_param::<Binary, _>(&self.canonical)?;
        out.push_sql(
            " AS fields), head AS (
                INSERT INTO audit_heads AS head (org_id, seq, hash)
                SELECT org_id, 1, encode(sha256(decode(repeat('00', 32), 'hex') || int8send(1) || fields), 'hex')
                FROM entry
                ON CONFLICT (org_id) DO UPDATE SET
                    seq = head.seq + 1,
                    hash = encode(sha256(
                        decode(head.hash, 'hex') || int8send(head.seq + 1) || (SELECT fields FROM entry)), 'hex')
                RETURNING org_id, seq, hash)
            INSERT INTO audit_log (org_id, seq, hash, at, actor, actor_kind, action, target_kind, target_id, outcome,
                correlation_id, client, details)
            SELECT org_id, seq, hash",
        );
        for text in [at, actor, actor_kind, action] {
            out.push_sql(", ");
            out.push_bind_param::<Text, _>(text)?;
        }
        let Fields { target_kind, target_id, outcome, correlation_id, client, details, .. } = &self.fields;
        for text in [target_kind, target_id] {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(outcome)?;
        for text in [correlation_id, client] {
            out.push_sql(", ");
            out.push_bind_param::<Nullable<Text>, _>(text)?;
        }
        out.push_sql(", ");
        out.push_bind_param::<Text, _>(details)?;
        out.push_sql(" FROM head");
        Ok(())
    }
}
