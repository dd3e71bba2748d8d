//! What madre keeps: plans, power windows, policies and its trail. Every diesel query of the service is in here.
//!
//! Rows that something depends on (a plan before it waits, a window before it opens) are written by a query whose
//! failure is answered; rows that only tell what happened go through the writer, which keeps them until they can be
//! written.

mod actions;
mod approvals;
mod plans;
mod policies;
mod record;
mod retention;
mod schema;
mod windows;

use std::path::Path;
use std::time::Duration;

use diesel_migrations::embed_migrations;
use secrecy::SecretString;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use vx11_contracts::identity::OrgId;
use vx11_store::{
    AnyConnection, Database, DatabaseConfig, DatabaseUrl, FlushError, Migrations, Scope, ServiceDatabase, StoreError,
    WriteError, Writer, WriterConfig, WriterHealth,
};

use crate::trail::Row;
pub(crate) use approvals::{Pending, Step};
pub(crate) use plans::{Claim, NewPlan, StoredPlan};
pub(crate) use record::PlanEnd;
use record::Record;
pub(crate) use retention::retention_rules;
pub(crate) use windows::Window;

const MIGRATIONS: Migrations =
    Migrations { sqlite: embed_migrations!("migrations/sqlite"), postgres: embed_migrations!("migrations/postgres") };

/// PostgreSQL at `url`, else `madre.sqlite3` in `data_dir`. The limits are short, because a chat that waits for a locked
/// database must still be answered within 5 s.
pub(crate) fn database(url: Option<SecretString>, data_dir: &Path) -> ServiceDatabase {
    let config = DatabaseConfig {
        pool_size: 2,
        pool_timeout: Duration::from_millis(500),
        busy_timeout: Duration::from_secs(1),
        run_timeout: Duration::from_secs(2),
        cache_kib: 512,
        ..DatabaseConfig::new(url.map(DatabaseUrl), crate::NAME, data_dir.join("madre.sqlite3"))
    };
    ServiceDatabase { service: crate::NAME, config, migrations: || MIGRATIONS }
}

/// The store. A clone is the same store.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    database: Database,
    writer: Writer<Record>,
}

impl Store {
    /// Opens it. Blocks: call it while starting.
    pub(crate) fn open(
        url: Option<SecretString>,
        data_dir: &Path,
        registry: &prometheus::Registry,
    ) -> anyhow::Result<Self> {
        let ServiceDatabase { config, migrations, .. } = database(url, data_dir);
        let writer = WriterConfig { ack_timeout: Duration::from_secs(1), ..WriterConfig::default() };
        let database = Database::open(config, migrations())?;
        let writer = Writer::start(&database, record::RecordSink, writer)?;
        writer.register(registry)?;
        Ok(Self { database, writer })
    }

    /// For upkeep.
    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Reads what is `org`'s.
    async fn read_of<T: Send + 'static>(
        &self,
        org: &OrgId,
        work: impl FnOnce(&mut AnyConnection, &OrgId) -> diesel::QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (org, scope) = (org.clone(), Scope::Org(org.as_str().into()));
        self.database.read(scope, move |conn| Ok(work(conn, &org)?)).await
    }

    /// Reads what serves all organisations alike.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> diesel::QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.database.read(Scope::Platform, move |conn| Ok(work(conn)?)).await
    }

    /// Changes something in one transaction; a plan is found by its id alone, which nobody can guess.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> diesel::QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.database.write(Scope::Platform, move |conn| Ok(work(conn)?)).await
    }

    /// Adds to the trail; `Ok` means that it is durable.
    pub(crate) async fn log(&self, row: Row) -> Result<(), WriteError> {
        self.writer.write(Record::Action(row.into())).await
    }

    /// Records how a plan ended; `Ok` means that it is durable.
    pub(crate) async fn finish_plan(&self, end: PlanEnd) -> Result<(), WriteError> {
        self.writer.write(Record::PlanEnd(end)).await
    }

    /// How writing goes.
    pub(crate) fn health(&self) -> WriterHealth {
        self.writer.health()
    }

    /// Waits until everything is durable.
    pub(crate) async fn flush(&self, limit: Duration) -> Result<(), FlushError> {
        self.writer.flush(limit).await
    }
}

/// Reads a name that an enum of the contracts has on the wire.
fn parse<T: DeserializeOwned>(name: &str) -> diesel::QueryResult<T> {
    let name: StrDeserializer<'_, ValueError> = name.into_deserializer();
    T::deserialize(name).map_err(unreadable)
}

/// Reads a column that holds JSON.
fn from_json<T: DeserializeOwned>(text: &str) -> diesel::QueryResult<T> {
    serde_json::from_str(text).map_err(unreadable)
}

/// Writes a column that holds JSON.
fn to_json(value: &impl serde::Serialize) -> diesel::QueryResult<String> {
    serde_json::to_string(value).map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))
}

fn unreadable(error: impl std::error::Error + Send + Sync + 'static) -> diesel::result::Error {
    diesel::result::Error::DeserializationError(Box::new(error))
}

/// Whether `error` says that a row like it is there already.
fn is_duplicate(error: &StoreError) -> bool {
    use diesel::result::{DatabaseErrorKind, Error};
    matches!(error, StoreError::Query(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)))
}
