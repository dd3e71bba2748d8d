//! Bringing PostgreSQL's schema up to date, once, by whoever comes first.

use diesel::Connection;
use diesel::connection::SimpleConnection;
use diesel::result::Error;
use diesel_migrations::EmbeddedMigrations;

use super::postgres::Postgres;
use crate::{StoreError, schema};

/// The same schema in two dialects.
pub struct Migrations {
    /// For SQLite.
    pub sqlite: EmbeddedMigrations,
    /// For PostgreSQL.
    pub postgres: EmbeddedMigrations,
}

/// Held by who migrates, until its transaction ends; any number that nobody else uses.
const LOCK: i64 = 0x5658_3131;

/// Makes the `schema`, and runs the migrations that are missing in it, all in one transaction: of several replicas that
/// start at once one does it, and a failure leaves everything as it was.
pub(super) fn run(
    conn: &mut Postgres,
    schema: &str,
    migrations: &EmbeddedMigrations,
    name: &str,
) -> Result<(), StoreError> {
    let mut outcome = Ok(());
    let migrated = conn.transaction(|conn| {
        conn.batch_execute(&format!("SELECT pg_advisory_xact_lock({LOCK}); {}", make(schema)))?;
        outcome = schema::is_up_to_date(conn, migrations, || name.to_owned()).and_then(|is_up_to_date| {
            if is_up_to_date { Ok(()) } else { schema::run_missing(conn, migrations).map_err(schema::failed) }
        });
        if outcome.is_ok() { Ok(()) } else { Err(Error::RollbackTransaction) }
    });
    outcome?;
    migrated.map_err(|error| StoreError::Migration(error.to_string()))
}

/// Only where there is none: to make one needs a right that who may use it need not have.
fn make(schema: &str) -> String {
    format!(
        "DO $$ BEGIN IF to_regnamespace('\"{schema}\"') IS NULL THEN CREATE SCHEMA \"{schema}\"; END IF; END $$;
         SET LOCAL search_path TO \"{schema}\""
    )
}
