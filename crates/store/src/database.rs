//! A database that is SQLite on one machine and PostgreSQL on many, with one set of queries for both.
//!
//! What is decided is a transaction of its own, which is durable once its caller hears of it. What the hot path writes
//! goes through a [`Writer`](crate::Writer). On PostgreSQL all replicas see both.
//!
//! Each transaction is of one tenant, or of the platform ([`Scope`]). PostgreSQL is told which, so that row-level
//! security holds where a query forgets; on SQLite the query's own condition is all there is.

mod address;
mod any;
mod config;
mod manager;
mod migrate;
mod postgres;
mod scope;

use std::sync::Arc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use tokio::sync::Semaphore;

use crate::StoreError;
use crate::bounded::bounded;
use crate::pool::Pool;
use manager::Manager;

pub use address::InvalidUrl;
pub use any::AnyConnection;
pub(crate) use any::in_transaction;
pub use config::{DatabaseConfig, DatabaseUrl, ServiceDatabase};
pub(crate) use manager::{Place, Pooled};
pub use migrate::Migrations;
pub(crate) use postgres::Postgres;
pub use scope::Scope;

/// Longest wait for another upkeep task, and for one in all.
const UPKEEP_TIMEOUT: Duration = Duration::from_secs(600);

/// An open database. A clone is the same database.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Manager>,
    place: Arc<Place>,
    /// Longest wait for a lock, or for the turn to write.
    busy_timeout: Duration,
    /// Upkeep runs one task at a time, on a connection of its own.
    upkeep: Arc<Semaphore>,
}

/// What a transaction may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

impl Database {
    /// Opens the database and brings its schema up to date. Blocks: call it while starting. Safe when several processes
    /// do so at once. A server that is away is waited for by those who need it: whoever starts meanwhile starts.
    ///
    /// # Errors
    /// When the file cannot be used, the URL is none, or the schema cannot be brought up to date: a newer version has
    /// migrated it, or a migration failed.
    pub fn open(config: DatabaseConfig, migrations: Migrations) -> Result<Self, StoreError> {
        let place = Arc::new(Place::new(&config, migrations)?);
        // On a thread of its own: one that a runtime drives may not wait for another runtime.
        let migrated = std::thread::scope(|scope| scope.spawn(|| place.migrate()).join());
        match migrated.map_err(|_| StoreError::Panicked)? {
            Err(error @ StoreError::Open { .. }) if place.is_remote() => {
                tracing::warn!(%error, "the database is away; what needs it waits");
            }
            migrated => migrated?,
        }
        let DatabaseConfig { pool_size, pool_timeout, run_timeout, busy_timeout, .. } = config;
        let pool = Pool::new(Manager { place: place.clone(), busy_timeout }, pool_size, pool_timeout, run_timeout);
        Ok(Self { pool, place, busy_timeout, upkeep: Arc::new(Semaphore::new(1)) })
    }

    /// Runs queries that change nothing, in one transaction.
    ///
    /// # Errors
    /// When the database does not answer in time, or refuses a query.
    pub async fn read<T, E, F>(&self, scope: Scope, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
    {
        self.transaction(Access::Read, scope, work).await
    }

    /// Runs queries in one transaction, which is durable once this answers. Where `work` fails, nothing of it is kept.
    ///
    /// # Errors
    /// As [`Self::read`]; after [`StoreError::Timeout`] it may still take effect.
    pub async fn write<T, E, F>(&self, scope: Scope, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
    {
        self.transaction(Access::Write, scope, work).await
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(Scope::Platform, |conn| Ok(diesel::r2d2::R2D2Connection::ping(conn)?)).await
    }

    /// Whether the role that is connected as is above PostgreSQL's row-level security, so that only the queries' own
    /// conditions keep tenants apart. Known once it was connected to.
    #[must_use]
    pub fn is_unguarded(&self) -> bool {
        self.place.is_unguarded()
    }

    /// Whether it is PostgreSQL, which several replicas can share.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.place.is_remote()
    }

    /// Where it is, for people: a file or a server. Nothing in it is secret.
    #[must_use]
    pub fn name(&self) -> String {
        self.place.name()
    }

    async fn transaction<T, E, F>(&self, access: Access, scope: Scope, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<diesel::result::Error> + Send + 'static,
        F: FnOnce(&mut AnyConnection) -> Result<T, E> + Send + 'static,
    {
        let (place, patience) = (self.place.clone(), self.busy_timeout);
        let in_turn = move |pooled: &mut Pooled| {
            let _turn = (access == Access::Write).then(|| place.turn(patience));
            Ok(in_transaction(&mut pooled.conn, access, &scope, work))
        };
        self.pool.run(in_turn).await?
    }

    pub(crate) fn place(&self) -> &Arc<Place> {
        &self.place
    }

    /// Runs long work on a connection of its own, so that it takes none from queries; one at a time.
    pub(crate) async fn run_apart<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Place, &mut AnyConnection) -> Result<T, StoreError> + Send + 'static,
    {
        let (place, busy_timeout) = (self.place.clone(), self.busy_timeout);
        let on_own = move || {
            let mut pooled = place.connect(busy_timeout)?;
            if let AnyConnection::Postgres(conn) = &mut pooled.conn {
                conn.batch_execute(&format!(
                    "{}; SET statement_timeout = {}",
                    Scope::EVERYTHING,
                    UPKEEP_TIMEOUT.as_millis()
                ))?;
            }
            work(&place, &mut pooled.conn)
        };
        bounded(&self.upkeep, UPKEEP_TIMEOUT, UPKEEP_TIMEOUT, on_own).await
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.name()).finish_non_exhaustive()
    }
}
