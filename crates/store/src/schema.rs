//! The schema is what the program's migrations make: never less, never more.

use std::path::Path;

use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::{Connection, StoreError};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Runs the migrations that are missing. All of them run in one exclusive transaction, so that of two programs that
/// start at once the second waits and then finds nothing to do, and a failure leaves the schema as it was.
pub(crate) fn ensure(conn: &mut Connection, migrations: &EmbeddedMigrations, path: &Path) -> Result<(), StoreError> {
    let failed = |error: AnyError| StoreError::Migration(error.to_string());
    let known = versions(migrations).map_err(failed)?;
    let applied = conn.applied_migrations().map_err(failed)?;

    if let Some(unknown) = applied.iter().filter(|version| !known.contains(version)).max() {
        return Err(StoreError::NewerSchema {
            path: path.to_owned(),
            found: unknown.to_string(),
            known: known.iter().max().map_or_else(|| "none".to_owned(), ToString::to_string),
        });
    }
    if known.iter().all(|version| applied.contains(version)) {
        return Ok(());
    }
    conn.exclusive_transaction(|conn| conn.run_pending_migrations(PendingOf(migrations)).map(drop)).map_err(failed)
}

fn versions(migrations: &EmbeddedMigrations) -> Result<Vec<MigrationVersion<'static>>, AnyError> {
    let migrations: Vec<Box<dyn Migration<Sqlite>>> = migrations.migrations()?;
    Ok(migrations.iter().map(|migration| migration.name().version().as_owned()).collect())
}

/// The harness takes a source by value, and the embedded one cannot be copied.
struct PendingOf<'a>(&'a EmbeddedMigrations);

impl MigrationSource<Sqlite> for PendingOf<'_> {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<Sqlite>>>, AnyError> {
        self.0.migrations()
    }
}
