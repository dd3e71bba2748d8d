//! The database as services see it: open it, and run queries off the threads that serve requests.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::r2d2::{ManageConnection, R2D2Connection};
use diesel_migrations::EmbeddedMigrations;
use tokio::sync::Semaphore;

use crate::bounded::bounded;
use crate::connection::{Opened, Source};
use crate::pool::Pool;
use crate::{Connection, StoreConfig, StoreError};

/// Longest wait for another upkeep task, and for one in all.
const UPKEEP_TIMEOUT: Duration = Duration::from_secs(600);

/// An open database. A clone is the same database.
#[derive(Clone)]
pub struct Db {
    source: Arc<Source>,
    pool: Pool<Manager>,
    /// Upkeep runs one task at a time, on a connection of its own.
    upkeep: Arc<Semaphore>,
}

impl Db {
    /// Opens the database, making its directory and bringing its schema up to date. Blocks: call it while starting.
    /// Safe when two processes do so at once. Refuses a database that a newer version has migrated.
    pub fn open(config: StoreConfig, migrations: EmbeddedMigrations) -> Result<Self, StoreError> {
        let source = Arc::new(Source::new(config, migrations)?);
        let config = &source.config;
        source.open(config.busy_timeout)?;

        let pool = Pool::new(Manager(source.clone()), config.pool_size, config.pool_timeout, config.run_timeout);
        Ok(Self { source, pool, upkeep: Arc::new(Semaphore::new(1)) })
    }

    /// Runs queries on a pooled connection, on tokio's blocking pool. The waits for a connection and for the result
    /// are bounded; on [`StoreError::Timeout`] the work goes on and may take effect.
    pub async fn run<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
    {
        self.pool.run(move |opened| Ok(work(&mut opened.conn)?)).await
    }

    /// Whether the database answers a query.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.run(|conn| conn.ping()).await
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    pub(crate) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Runs long work on a connection of its own, so that it takes none from queries; one at a time.
    pub(crate) async fn run_apart<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let source = self.source.clone();
        let on_own = move || work(&mut source.open(source.config.busy_timeout)?.conn);
        bounded(&self.upkeep, UPKEEP_TIMEOUT, UPKEEP_TIMEOUT, on_own).await
    }
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").field("path", &self.path()).finish_non_exhaustive()
    }
}

/// Makes and checks the pool's connections.
struct Manager(Arc<Source>);

impl ManageConnection for Manager {
    type Connection = Opened;
    type Error = StoreError;

    fn connect(&self) -> Result<Opened, StoreError> {
        self.0.open(self.0.config.busy_timeout)
    }

    /// A connection is of no use when its file is no longer the database.
    fn is_valid(&self, opened: &mut Opened) -> Result<(), StoreError> {
        if self.0.is_current(opened) {
            return Ok(());
        }
        Err(StoreError::Busy("the database file was replaced".to_owned()))
    }

    fn has_broken(&self, opened: &mut Opened) -> bool {
        std::thread::panicking() || opened.conn.is_broken()
    }
}
