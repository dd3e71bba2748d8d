//! The schema is what the program's migrations make: never less, never more.

use std::path::Path;

use diesel::backend::Backend;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};

use crate::StoreError;
use crate::sqlite::Sqlite;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Runs the migrations that are missing. All of them run in one exclusive transaction, so that of two programs that
/// start at once the second waits and then finds nothing to do, and a failure leaves the schema as it was.
pub(crate) fn ensure(conn: &mut Sqlite, migrations: &EmbeddedMigrations, path: &Path) -> Result<(), StoreError> {
    if is_up_to_date(conn, migrations, || path.display().to_string())? {
        return Ok(());
    }
    conn.exclusive_transaction(|conn| run_missing(conn, migrations)).map_err(failed)
}

/// Whether none of `migrations` is missing in the `store`; an error where it has others.
pub(crate) fn is_up_to_date<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    migrations: &EmbeddedMigrations,
    store: impl FnOnce() -> String,
) -> Result<bool, StoreError> {
    let known = versions::<DB>(migrations).map_err(failed)?;
    let applied = conn.applied_migrations().map_err(failed)?;
    if let Some(unknown) = applied.iter().filter(|version| !known.contains(version)).max() {
        return Err(StoreError::NewerSchema {
            store: store(),
            found: unknown.to_string(),
            known: known.iter().max().map_or_else(|| "none".to_owned(), ToString::to_string),
        });
    }
    Ok(known.iter().all(|version| applied.contains(version)))
}

/// Runs the migrations that are missing, in the transaction that is open.
pub(crate) fn run_missing<DB: Backend>(
    conn: &mut impl MigrationHarness<DB>,
    migrations: &EmbeddedMigrations,
) -> Result<(), AnyError> {
    conn.run_pending_migrations(PendingOf(migrations)).map(drop)
}

/// A migration that failed, in its own words.
pub(crate) fn failed(error: AnyError) -> StoreError {
    StoreError::Migration(error.to_string())
}

fn versions<DB: Backend>(migrations: &EmbeddedMigrations) -> Result<Vec<MigrationVersion<'static>>, AnyError> {
    let migrations: Vec<Box<dyn Migration<DB>>> = migrations.migrations()?;
    Ok(migrations.iter().map(|migration| migration.name().version().as_owned()).collect())
}

/// The harness takes a source by value, and the embedded one cannot be copied.
struct PendingOf<'a>(&'a EmbeddedMigrations);

impl<DB: Backend> MigrationSource<DB> for PendingOf<'_> {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<DB>>>, AnyError> {
        self.0.migrations()
    }
}
