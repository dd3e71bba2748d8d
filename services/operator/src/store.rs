//! The operator's tables. Every diesel query of the service is in here.

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

use diesel_migrations::embed_migrations;
use tokio::sync::watch;
use vx11_store::{Db, EmbeddedMigrations, StoreConfig, StoreError, Writer, WriterConfig};

pub(crate) use actions::action;
pub(crate) use record::{ChatRecord, NewPerformance, NewTurn, OutcomeRecord, Record};
pub(crate) use retention::retention_rules;
pub(crate) use turns::Extras;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The store: reads go through its methods, writes through its writer.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    db: Db,
    /// Writes what must be durable, many at a time.
    pub(crate) writer: Writer<Record>,
    /// The id of the newest row of `copilot_actions_log` that was committed from here.
    pub(crate) newest_action: watch::Receiver<i64>,
}

impl Store {
    /// Opens the database and starts its writer.
    ///
    /// # Errors
    /// When the file cannot be opened, or is of a newer version.
    pub(crate) fn open(config: StoreConfig) -> Result<Self, StoreError> {
        let db = Db::open(config, MIGRATIONS)?;
        let (notify, newest_action) = watch::channel(0);
        let writer = Writer::start(&db, sink::RecordSink::new(notify), WriterConfig::default())?;
        Ok(Self { db, writer, newest_action })
    }

    /// The database itself, for its upkeep.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }
}
