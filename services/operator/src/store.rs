//! The operator's tables of what happened. Each row has its organisation, and what people are shown is read through
//! [`OrgStore`], which is of one: there is no way to make it without.

mod actions;
mod performance;
mod record;
mod retention;
mod schema;
mod sessions;
mod sink;
#[cfg(test)]
mod tests;
mod turns;

use std::path::Path;

use diesel::QueryResult;
use diesel_migrations::embed_migrations;
use tokio::sync::watch;
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_store::{
    AnyConnection, Database, DatabaseConfig, DatabaseUrl, EmbeddedMigrations, Migrations, Scope, StoreError, Writer,
    WriterConfig, trail,
};

use crate::control;
pub(crate) use actions::action;
pub(crate) use record::{ChatRecord, NewPerformance, NewTurn, OutcomeRecord, Record, storable};
pub(crate) use retention::retention_rules;
pub(crate) use turns::Extras;

/// On SQLite these tables have a file of their own, so that what people decide never waits for what the hot path writes. On
/// PostgreSQL they are in the schema of what people decide, and share its connections.
const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// Where the tables are.
pub(crate) fn config(url: Option<DatabaseUrl>, data_dir: &Path) -> DatabaseConfig {
    DatabaseConfig {
        pool_size: 2,
        // Rows are written in order of time and mostly read while they are new: few pages are in use at a time.
        cache_kib: 1024,
        ..DatabaseConfig::new(url, crate::NAME, data_dir.join("operator.sqlite3"))
    }
}

/// What makes them.
pub(crate) fn migrations() -> Migrations {
    Migrations { sqlite: MIGRATIONS, ..control::MIGRATIONS }
}

/// The store: reads go through [`Store::of`], writes through its writer.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    /// Writes what must be durable, many at a time.
    pub(crate) writer: Writer<Record>,
    /// The id of the newest row of `copilot_actions_log` that was committed from here.
    pub(crate) newest_action: watch::Receiver<i64>,
}

impl Store {
    /// Opens `operator.sqlite3` in `data_dir`.
    ///
    /// # Errors
    /// When it cannot be opened, or is of a newer version.
    pub(crate) fn at(data_dir: &Path) -> Result<Self, StoreError> {
        let config = config(None, data_dir);
        Self::open(Database::open(config, migrations())?)
    }

    /// Starts the writer of a database that has the tables.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub(crate) fn open(database: Database) -> Result<Self, StoreError> {
        let (notify, newest_action) = watch::channel(0);
        let writer = Writer::start(&database, sink::RecordSink::new(notify), WriterConfig::default())?;
        Ok(Self { database, writer, newest_action })
    }

    /// What happened in one organisation.
    pub(crate) fn of(&self, org: &OrgId) -> OrgStore {
        OrgStore { database: self.database.clone(), org: org.clone() }
    }

    /// Up to `limit` rows of the trail after `id`, oldest first, of all organisations: for who hands each to its own.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn actions_of_all_after(&self, id: i64, limit: u32) -> Result<Vec<Action>, StoreError> {
        self.database.read(Scope::Platform, move |conn| Ok(trail::of_all_after(conn, id, limit)?)).await
    }

    /// The id of the newest row of the trail, whosever it is; 0 when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn newest_action_id(&self) -> Result<i64, StoreError> {
        self.database.read(Scope::Platform, |conn| Ok(trail::newest_id(conn)?)).await
    }

    /// The database itself, for its upkeep.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }
}

/// What happened in one organisation, as its people are shown it. Cheap to make.
#[derive(Clone, Debug)]
pub(crate) struct OrgStore {
    database: Database,
    org: OrgId,
}

impl OrgStore {
    /// Runs queries that see the organisation's rows alone.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection, &OrgId) -> QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (org, scope) = (self.org.clone(), Scope::Org(self.org.as_str().into()));
        self.database.read(scope, move |conn| Ok(work(conn, &org)?)).await
    }
}
