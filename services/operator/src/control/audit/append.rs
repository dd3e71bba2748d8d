//! Appending a row, in the transaction of what it tells. It is linked into the chain afterwards, so nobody waits for it.

use diesel::prelude::*;
use diesel::result::Error;
use jiff::Timestamp;
use vx11_contracts::time;
use vx11_store::AnyConnection;

use super::super::schema::audit_log;
use crate::domain::audit::Entry;

/// Appends `entry` to the log of `org`.
///
/// # Errors
/// When the database does not answer, or refuses it.
pub(in crate::control) fn append(conn: &mut AnyConnection, org: &str, entry: &Entry) -> QueryResult<()> {
    let details = serde_json::to_string(&entry.details).map_err(|error| Error::SerializationError(Box::new(error)))?;
    let row = (
        audit_log::org_id.eq(org),
        audit_log::at.eq(&entry.at),
        audit_log::actor.eq(&entry.actor),
        audit_log::actor_kind.eq(entry.actor_kind().as_str()),
        audit_log::action.eq(&entry.action),
        audit_log::target_kind.eq(entry.target.as_ref().map(|(kind, _)| *kind)),
        audit_log::target_id.eq(entry.target.as_ref().map(|(_, id)| id.as_str())),
        audit_log::outcome.eq(entry.outcome.as_str()),
        audit_log::correlation_id.eq(entry.origin.correlation_id.as_deref()),
        audit_log::client.eq(entry.origin.client.as_deref()),
        audit_log::details.eq(details),
        audit_log::written_at.eq(time::render(Timestamp::now())),
    );
    diesel::insert_into(audit_log::table).values(row).execute(conn).map(drop)
}
