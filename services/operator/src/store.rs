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

use diesel_migrations::embed_migrations;
use tokio::sync::watch;
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_store::{Db, EmbeddedMigrations, StoreConfig, StoreError, Writer, WriterConfig, trail};

pub(crate) use actions::action;
pub(crate) use record::{ChatRecord, NewPerformance, NewTurn, OutcomeRecord, Record};
pub(crate) use retention::retention_rules;
pub(crate) use turns::Extras;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The store: reads go through [`Store::of`], writes through its writer.
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

    /// What happened in one organisation.
    pub(crate) fn of(&self, org: &OrgId) -> OrgStore {
        OrgStore { db: self.db.clone(), org: org.clone() }
    }

    /// Up to `limit` rows of the trail after `id`, oldest first, of all organisations: for who hands each to its own.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn actions_of_all_after(&self, id: i64, limit: u32) -> Result<Vec<Action>, StoreError> {
        self.db.run(move |conn| trail::of_all_after(conn, id, limit)).await
    }

    /// The id of the newest row of the trail, whosever it is; 0 when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn newest_action_id(&self) -> Result<i64, StoreError> {
        self.db.run(trail::newest_id).await
    }

    /// The database itself, for its upkeep.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }
}

/// What happened in one organisation, as its people are shown it. Cheap to make.
#[derive(Clone, Debug)]
pub(crate) struct OrgStore {
    db: Db,
    org: OrgId,
}
