//! How connections are made and checked, whichever database there is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ManageConnection, R2D2Connection};
use parking_lot::{FairMutex, FairMutexGuard, Mutex};
use secrecy::ExposeSecret;

use super::address::Address;
use super::postgres::Postgres;
use super::{AnyConnection, DatabaseConfig, Migrations, migrate};
use crate::connection::{FileId, Opened, Source};
use crate::{StoreConfig, StoreError};

/// What the log says of a role that nothing holds back.
const UNGUARDED: &str = "the role of the database URL is a superuser or has BYPASSRLS: PostgreSQL's row-level security, \
                         the second wall between organisations, is off. Use a role that has neither";

/// Where connections come from.
pub(super) enum Place {
    Postgres {
        address: Box<Address>,
        schema: &'static str,
        statement_timeout: Duration,
        migrations: Migrations,
        /// Whether its schema is known to be up to date.
        is_migrated: Mutex<bool>,
        /// Whether its role is above row-level security.
        is_unguarded: AtomicBool,
    },
    Sqlite {
        source: Source,
        turn: FairMutex<()>,
    },
}

/// A connection, and which file it is connected to.
pub(super) struct Pooled {
    pub(super) conn: AnyConnection,
    file: Option<FileId>,
}

impl Place {
    pub(super) fn new(config: &DatabaseConfig, migrations: Migrations) -> Result<Self, StoreError> {
        let Some(url) = &config.url else {
            let at = StoreConfig { run_timeout: config.run_timeout, ..StoreConfig::at(&config.path) };
            return Ok(Self::Sqlite { source: Source::new(at, migrations.sqlite)?, turn: FairMutex::new(()) });
        };
        let address = Address::parse(url.0.expose_secret())
            .map_err(|error| StoreError::Open { store: "of the database URL".to_owned(), reason: error.to_string() })?;
        let statement_timeout = config.run_timeout;
        let (address, schema, is_migrated) = (Box::new(address), config.schema, Mutex::new(false));
        let is_unguarded = AtomicBool::new(false);
        Ok(Self::Postgres { address, schema, statement_timeout, migrations, is_migrated, is_unguarded })
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Postgres { address, .. } => address.name(),
            Self::Sqlite { source, .. } => source.path().display().to_string(),
        }
    }

    /// Brings the schema up to date, where that has not been done. SQLite's is looked at whenever a connection is made.
    pub(super) fn migrate(&self) -> Result<(), StoreError> {
        match self {
            Self::Postgres { address, schema, migrations, is_migrated, is_unguarded, .. } => {
                let mut is_migrated = is_migrated.lock();
                if !*is_migrated {
                    let mut conn = Postgres::connect(address).map_err(|reason| self.cannot_open(reason))?;
                    migrate::run(&mut conn, schema, &migrations.postgres, &self.name())?;
                    if conn.is_above_row_security()? {
                        is_unguarded.store(true, Ordering::Relaxed);
                        tracing::error!(database = self.name(), "{UNGUARDED}");
                    }
                    *is_migrated = true;
                }
                Ok(())
            }
            Self::Sqlite { .. } => self.connect().map(drop),
        }
    }

    /// Whether PostgreSQL holds tenants apart by itself; SQLite never does.
    pub(super) fn is_unguarded(&self) -> bool {
        matches!(self, Self::Postgres { is_unguarded, .. } if is_unguarded.load(Ordering::Relaxed))
    }

    /// Whether it is elsewhere, and may be away for a while.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// The turn to write, among the threads of this process: SQLite lets one in at a time, and has no queue.
    pub(super) fn turn(&self) -> Option<FairMutexGuard<'_, ()>> {
        match self {
            Self::Postgres { .. } => None,
            Self::Sqlite { turn, .. } => Some(turn.lock()),
        }
    }

    fn connect(&self) -> Result<Pooled, StoreError> {
        match self {
            Self::Postgres { address, schema, statement_timeout, .. } => {
                self.migrate()?;
                let mut conn = Postgres::connect(address).map_err(|reason| self.cannot_open(reason))?;
                conn.batch_execute(&format!(
                    "SET search_path TO \"{schema}\"; SET statement_timeout = {}",
                    statement_timeout.as_millis()
                ))?;
                Ok(Pooled { conn: AnyConnection::Postgres(conn), file: None })
            }
            Self::Sqlite { source, .. } => {
                let Opened { conn, file } = source.open(source.config.busy_timeout)?;
                Ok(Pooled { conn: AnyConnection::Sqlite(conn), file: Some(file) })
            }
        }
    }

    fn cannot_open(&self, reason: String) -> StoreError {
        StoreError::Open { store: self.name(), reason }
    }
}

/// Makes and checks the pool's connections.
pub(super) struct Manager(pub(super) std::sync::Arc<Place>);

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = StoreError;

    fn connect(&self) -> Result<Pooled, StoreError> {
        self.0.connect()
    }

    /// A connection is of no use when its file is no longer the database. One to PostgreSQL is not asked, which would
    /// double the way to every answer: it is known to be broken once a query has failed on it.
    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), StoreError> {
        match (&*self.0, pooled.file) {
            (Place::Sqlite { source, .. }, Some(file)) if !source.is_at_place(file) => {
                Err(StoreError::Busy("the database file was replaced".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        std::thread::panicking() || pooled.conn.is_broken()
    }
}
