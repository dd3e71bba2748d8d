//! The settings of a [`Database`](super::Database).

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;

/// Where a database is, and the bounds on using it.
#[derive(Clone, Debug)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host:port/database`; without it, the SQLite file is the database.
    pub url: Option<DatabaseUrl>,
    /// The schema in PostgreSQL; each service has its own.
    pub schema: &'static str,
    /// The SQLite file; its directory is made.
    pub path: PathBuf,
    /// Connections, and so transactions at a time. Default 8.
    pub pool_size: u32,
    /// Longest wait for a free connection. Default 2 s.
    pub pool_timeout: Duration,
    /// Longest wait for a transaction in all. Default 5 s.
    pub run_timeout: Duration,
}

/// A database's URL, with the password that may be in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct DatabaseUrl(pub SecretString);

impl DatabaseConfig {
    /// The defaults: PostgreSQL at `url`, else SQLite at `path`.
    pub fn new(url: Option<DatabaseUrl>, schema: &'static str, path: impl Into<PathBuf>) -> Self {
        Self {
            url,
            schema,
            path: path.into(),
            pool_size: 8,
            pool_timeout: Duration::from_secs(2),
            run_timeout: Duration::from_secs(5),
        }
    }
}
