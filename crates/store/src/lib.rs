//! What a service keeps: a database behind one r2d2 pool, SQLite or PostgreSQL, its migrations, its durable group-commit
//! writer and its upkeep.
//!
//! - [`Database`] opens it, brings its schema up to date and runs transactions on the blocking pool.
//! - [`Writer`] is for the hot path: it groups the rows of many requests into one transaction and answers when that
//!   is on disk. When the database cannot be written it keeps the rows in memory, says so, and recovers by itself.
//! - [`insert!`] makes a row of the hot path a statement that is prepared once.
//! - [`upkeep`] is what maintenance calls: integrity, size, counts, schema, backup, retention.
//!
//! - [`transfer`] moves what is in SQLite to PostgreSQL, and proves that it is all there.
//! - [`trail`] is the audit log that each service keeps in a table of the same shape.
//!
//! Besides that it knows no table and no service. Only the `store` modules of services use it, and only through
//! [`AnyConnection`], which is of either database.

mod bounded;
mod config;
mod database;
mod error;
mod insert;
mod org;
mod pool;
mod schema;
mod sqlite;
pub mod trail;
pub mod transfer;
pub mod upkeep;
mod writer;

pub use config::WriterConfig;
pub use database::{
    AnyConnection, Database, DatabaseConfig, DatabaseUrl, InvalidUrl, Migrations, Scope, ServiceDatabase,
};
pub use diesel_migrations::EmbeddedMigrations;
pub use error::StoreError;
pub use insert::Column;
pub use org::{OF_TENANTS, OrgColumn};
pub use vx11_contracts::time;
pub use writer::{FlushError, Sink, WriteError, Writer, WriterHealth};
