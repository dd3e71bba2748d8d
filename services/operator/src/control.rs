//! What people decide, kept: every query of the database that all replicas share.
//!
//! It is beside [`crate::store`], which keeps what happened. Here each change is a transaction that is durable when its
//! caller hears of it, and each repository is of one organisation: there is no way to make one without.

mod audit;
mod counts;
mod deliveries;
mod ended;
mod history;
mod identity;
mod insights;
mod interventions;
mod list;
mod notices;
mod row;
mod schema;
mod subscriptions;
mod sweep;
#[cfg(test)]
mod tests;
mod units;

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use diesel_migrations::embed_migrations;
use vx11_store::{Database, DatabaseConfig, Migrations, StoreError};

pub(crate) use audit::{Audited, Conditions, Proof};
pub(crate) use deliveries::{Deliveries, Due, Outcome, Room};
pub(crate) use identity::{
    Bearer, ChangeError, Entry, KeyError, Owner, PASSWORD_PROVIDER, Person, Refreshed, Session, Standing, local_id,
};
pub(crate) use insights::Insights;
pub(crate) use interventions::{Changed, Created, DecideError, Idempotency, Interventions};
pub(crate) use subscriptions::{Subscribed, Subscriptions};
pub(crate) use units::{Done, Moved, Report, UnitError, Units};

/// On PostgreSQL, those of [`crate::store`] too.
pub(crate) const MIGRATIONS: Migrations =
    Migrations { sqlite: embed_migrations!("control/sqlite"), postgres: embed_migrations!("control/postgres") };

/// The database of what people decide.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    database: Database,
}

impl Control {
    /// Opens it and brings its schema up to date. Blocks.
    ///
    /// # Errors
    /// When it cannot be reached, or is of a newer version.
    pub(crate) fn open(config: DatabaseConfig) -> Result<Self, StoreError> {
        if config.url.is_none() {
            keep_private(&config.path).map_err(|error| StoreError::Open {
                store: config.path.display().to_string(),
                reason: error.to_string(),
            })?;
        }
        Ok(Self { database: Database::open(config, MIGRATIONS)? })
    }

    /// The database, where other replicas have it too.
    pub(crate) fn replicated(&self) -> Option<Database> {
        self.database.is_remote().then(|| self.database.clone())
    }

    /// Whether nothing but the queries' own conditions keeps organisations apart, where PostgreSQL should as well.
    pub(crate) fn is_unguarded(&self) -> bool {
        self.database.is_unguarded()
    }

    /// The interventions of one organisation.
    pub(crate) fn interventions(&self, org: impl Into<Arc<str>>) -> Interventions {
        Interventions::new(self.database.clone(), org.into())
    }

    /// What is learned from the requests of one organisation.
    pub(crate) fn insights(&self, org: impl Into<Arc<str>>) -> Insights {
        Insights::new(self.database.clone(), org.into())
    }

    /// The units of work of one organisation.
    pub(crate) fn units(&self, org: impl Into<Arc<str>>) -> Units {
        Units::new(self.database.clone(), org.into())
    }

    /// What one organisation has in the outbox.
    pub(crate) fn deliveries(&self, org: impl Into<Arc<str>>) -> Deliveries {
        Deliveries::new(self.database.clone(), org.into())
    }

    /// Who gets e-mail about the interventions of one organisation.
    pub(crate) fn subscriptions(&self, org: impl Into<Arc<str>>) -> Subscriptions {
        Subscriptions::new(self.database.clone(), org.into())
    }
}

/// Makes the file, if it isn't there, and its owner's alone: whoever can read it can sign access tokens. SQLite gives the
/// files beside it the same mode.
fn keep_private(file: &Path) -> std::io::Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let open = OpenOptions::new().create(true).append(true).mode(0o600).open(file)?;
    open.set_permissions(Permissions::from_mode(0o600))
}
