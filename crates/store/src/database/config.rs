//! The settings of a [`Database`](super::Database).

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

use super::Migrations;

/// Where a database is, and the bounds on using it.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`; without it, the SQLite file is the database.
    pub url: Option<DatabaseUrl>,
    /// The schema in PostgreSQL; each service has its own.
    pub schema: &'static str,
    /// The SQLite file; its directory is made.
    pub path: PathBuf,
    /// Connections, and so transactions at a time. A writer has one more of its own. Default 8.
    pub pool_size: u32,
    /// Longest wait for a free connection. Default 2 s.
    pub pool_timeout: Duration,
    /// Longest wait for a transaction in all. Default 5 s.
    pub run_timeout: Duration,
    /// Longest wait for the lock of another program that writes to the SQLite file. Default 2 s.
    pub busy_timeout: Duration,
    /// SQLite's page cache of each connection, in KiB. Default 2048.
    pub cache_kib: u32,
}

/// A database that a service keeps something in, for those who look after it without the service.
#[derive(Clone, Debug)]
pub struct ServiceDatabase {
    /// The service.
    pub service: &'static str,
    /// Where it is.
    pub config: DatabaseConfig,
    /// Its schema.
    pub migrations: fn() -> Migrations,
}

/// A database's URL, with the password that may be in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(pub SecretString);

impl DatabaseConfig {
    /// The same on SQLite.
    #[must_use]
    pub fn without_url(self) -> Self {
        Self { url: None, ..self }
    }

    /// The defaults: PostgreSQL at `url`, else SQLite at `path`.
    pub fn new(url: Option<DatabaseUrl>, schema: &'static str, path: impl Into<PathBuf>) -> Self {
        Self {
            url,
            schema,
            path: path.into(),
            pool_size: 8,
            pool_timeout: Duration::from_secs(2),
            run_timeout: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(2),
            cache_kib: 2048,
        }
    }
}
