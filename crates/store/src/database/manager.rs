//! How connections are made and checked, whichever database there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::r2d2::{ManageConnection, R2D2Connection};
use parking_lot::{FairMutexGuard, Mutex};
use secrecy::ExposeSecret;

use super::address::Address;
use super::postgres::Postgres;
use super::{AnyConnection, DatabaseConfig, Migrations, migrate};
use crate::StoreError;
use crate::sqlite::{FileId, Opened, Source};

/// What the log says of a role that nothing holds back.
const UNGUARDED: &str = "the role of the database URL is a superuser or has BYPASSRLS: PostgreSQL's row-level security, \
                         the second wall between organisations, is off. Use a role that has neither";

/// Where connections come from.
pub(crate) enum Place {
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
    Sqlite(Source),
}

/// A connection, and which file it is connected to.
pub(crate) struct Pooled {
    pub(crate) conn: AnyConnection,
    file: Option<FileId>,
}

impl Place {
    pub(super) fn new(config: &DatabaseConfig, migrations: Migrations) -> Result<Self, StoreError> {
        let Some(url) = &config.url else {
            return Ok(Self::Sqlite(Source::new(config, migrations.sqlite)?));
        };
        let address = Address::parse(url.0.expose_secret())
            .map_err(|error| StoreError::Open { store: "of the database URL".to_owned(), reason: error.to_string() })?;
        let statement_timeout = config.run_timeout;
        let (address, schema, is_migrated) = (Box::new(address), config.schema, Mutex::new(false));
        let is_unguarded = AtomicBool::new(false);
        Ok(Self::Postgres { address, schema, statement_timeout, migrations, is_migrated, is_unguarded })
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Postgres { address, .. } => address.name(),
            Self::Sqlite(source) => source.path().display().to_string(),
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
            Self::Sqlite(source) => self.connect(source.busy_timeout).map(drop),
        }
    }

    /// Whether PostgreSQL holds tenants apart by itself; SQLite never does.
    pub(super) fn is_unguarded(&self) -> bool {
        matches!(self, Self::Postgres { is_unguarded, .. } if is_unguarded.load(Ordering::Relaxed))
    }

    /// Whether it is elsewhere, and may be away for a while.
    pub(crate) fn is_remote(&self) -> bool {
        matches!(self, Self::Postgres { .. })
    }

    /// The turn to write, among those of this process who write to the same SQLite file, which lets one in at a time and
    /// has no queue ([`Source::turn`]). PostgreSQL needs none.
    pub(crate) fn turn(&self, patience: Duration) -> Option<FairMutexGuard<'_, ()>> {
        match self {
            Self::Postgres { .. } => None,
            Self::Sqlite(source) => source.turn(patience),
        }
    }

    /// The SQLite file, where it is one.
    pub(crate) fn sqlite(&self) -> Option<&Source> {
        match self {
            Self::Postgres { .. } => None,
            Self::Sqlite(source) => Some(source),
        }
    }

    /// Connects, with the schema up to date. At SQLite, others' locks are waited for as long as `busy_timeout`; at
    /// PostgreSQL each statement has its limit.
    pub(crate) fn connect(&self, busy_timeout: Duration) -> Result<Pooled, StoreError> {
        match self {
            Self::Postgres { address, schema, statement_timeout, .. } => {
                self.migrate()?;
                let mut conn = Postgres::connect(address).map_err(|reason| self.cannot_open(reason))?;
                // A transaction whose program stands still holds up those who wait for its locks, and no longer than this.
                conn.batch_execute(&format!(
                    "SET search_path TO \"{schema}\"; SET statement_timeout = {limit};
                     SET idle_in_transaction_session_timeout = {limit}",
                    limit = statement_timeout.as_millis()
                ))?;
                Ok(Pooled { conn: AnyConnection::Postgres(conn), file: None })
            }
            Self::Sqlite(source) => {
                let Opened { conn, file } = source.open(busy_timeout)?;
                Ok(Pooled { conn: AnyConnection::Sqlite(conn), file: Some(file) })
            }
        }
    }

    /// Whether a connection is to what is now the database: its file may have been replaced, or PostgreSQL may have ended it.
    /// PostgreSQL is not asked, which would double the way to every answer.
    pub(crate) fn is_current(&self, pooled: &mut Pooled) -> bool {
        match (self, &mut pooled.conn, pooled.file) {
            (Self::Sqlite(source), _, Some(file)) => source.is_at_place(file),
            (_, AnyConnection::Postgres(conn), _) => !conn.has_ended(),
            _ => true,
        }
    }

    fn cannot_open(&self, reason: String) -> StoreError {
        StoreError::Open { store: self.name(), reason }
    }
}

/// Makes and checks the pool's connections.
pub(super) struct Manager {
    pub(super) place: Arc<Place>,
    pub(super) busy_timeout: Duration,
}

impl ManageConnection for Manager {
    type Connection = Pooled;
    type Error = StoreError;

    fn connect(&self) -> Result<Pooled, StoreError> {
        self.place.connect(self.busy_timeout)
    }

    fn is_valid(&self, pooled: &mut Pooled) -> Result<(), StoreError> {
        if self.place.is_current(pooled) {
            return Ok(());
        }
        Err(StoreError::Busy("the connection has ended, or the database file was replaced".to_owned()))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        std::thread::panicking() || pooled.conn.is_broken()
    }
}
