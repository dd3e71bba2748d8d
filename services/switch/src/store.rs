//! What the gateway keeps: a ledger row for every request that it let in, and what the rows of each day come to. Every
//! diesel query of the service is in here.
//!
//! Rows go through the group-commit writer and nobody waits for them. What is read on a request's way is what one payer
//! has spent, when a counter of its begins.

mod days;
mod ledger;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use diesel_migrations::embed_migrations;
use vx11_chassis::config::Common;
use vx11_store::upkeep::{RetentionMode, RetentionRule, RowOrder, StoreReport, Upkeep};
use vx11_store::{
    AnyConnection, Database, DatabaseConfig, DatabaseUrl, Migrations, Scope, ServiceDatabase, StoreError, WriteError,
    Writer, WriterConfig, WriterHealth,
};

pub(crate) use ledger::LedgerRow;
pub(crate) use usage::{Grouping, Payer, Spending, UsageSum, rfc3339};

const MIGRATIONS: Migrations =
    Migrations { sqlite: embed_migrations!("migrations/sqlite"), postgres: embed_migrations!("migrations/postgres") };
/// The tables, as retention is configured for them, with the days that rows are kept where nothing else is.
const ROWS: (&str, u32) = ("usage_ledger", 90);
const DAYS: (&str, u32) = ("usage_days", 800);
/// Days in which the longest month is, whole: what was spent in it must be known at every start.
const MONTH: u32 = 32;
/// How often rows that are too old are deleted.
const RETENTION_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);

/// Longest wait for what the ledger comes to. Requests wait no such time; a start does, and must not fail for it.
const READ_LIMIT: Duration = Duration::from_secs(30);
/// How long rows, which nobody waits for, are kept for one transaction, and so what a crash can lose of them.
const LINGER: Duration = Duration::from_millis(20);

/// PostgreSQL where its URL is configured, else `switch.sqlite3` in the data directory.
pub(crate) fn database(common: &Common) -> ServiceDatabase {
    let url = common.database_url.clone().map(DatabaseUrl);
    let config = DatabaseConfig {
        pool_size: 2,
        cache_kib: 256,
        run_timeout: READ_LIMIT,
        ..DatabaseConfig::new(url, crate::NAME, common.data_dir.0.join("switch.sqlite3"))
    };
    ServiceDatabase { service: crate::NAME, config, migrations: || MIGRATIONS }
}

/// The ledger. A clone is the same ledger.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    database: Database,
    writer: Writer<LedgerRow>,
    /// How long rows are kept.
    rules: Vec<RetentionRule>,
    backups: PathBuf,
}

impl Ledger {
    /// Opens it. Blocks: call it while starting.
    pub(crate) fn open(common: &Common, registry: &prometheus::Registry) -> anyhow::Result<Self> {
        let ServiceDatabase { config, migrations, .. } = database(common);
        let database = Database::open(config, migrations())?;
        let writer = WriterConfig { linger: LINGER, ..WriterConfig::default() };
        let writer = Writer::start(&database, ledger::LedgerSink, writer)?;
        writer.register(registry)?;
        let backups = common.data_dir.0.join(crate::NAME).join("backups");
        Ok(Self { database, writer, rules: retention_rules(&common.retention_days), backups })
    }

    /// Leaves a row to be written.
    pub(crate) fn add(&self, row: LedgerRow) -> Result<(), WriteError> {
        self.writer.try_enqueue(row)
    }

    /// What was spent, in groups.
    pub(crate) async fn usage(
        &self,
        by: Grouping,
        from: Option<String>,
        to: Option<String>,
    ) -> Result<Vec<UsageSum>, StoreError> {
        self.read(move |conn| usage::usage(conn, by, from.as_deref(), to.as_deref())).await
    }

    /// What each key of `payer` has spent since `from`.
    pub(crate) async fn spent_since(&self, from: String, payer: Payer) -> Result<Vec<Spending>, StoreError> {
        self.read(move |conn| usage::spent_since(conn, &from, &payer)).await
    }

    /// What is read of the ledger is asked for by those who keep the platform, or to let a payer's request in.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut AnyConnection) -> diesel::QueryResult<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.database.read(Scope::Platform, move |conn| Ok(work(conn)?)).await
    }

    /// How writing goes.
    pub(crate) fn health(&self) -> WriterHealth {
        self.writer.health()
    }

    /// Waits until everything is durable, at most this long.
    pub(crate) async fn flush(&self, limit: Duration) {
        if let Err(error) = self.writer.flush(limit).await {
            tracing::error!(%error, "the ledger is not complete");
        }
    }

    /// Checks, backs up and counts the ledger, and counts what is past its retention; deletes that with `apply`.
    pub(crate) async fn upkeep(&self, apply: bool) -> StoreReport {
        self.database.upkeep(Upkeep { backups: self.backups.clone(), rules: self.rules.clone(), apply }).await
    }

    /// Deletes rows that are too old, now and every few hours, for as long as it is polled.
    pub(crate) async fn keep_bounded(self) {
        let mut interval = tokio::time::interval(RETENTION_INTERVAL);
        loop {
            interval.tick().await;
            if let Err(error) = self.database.retention(self.rules.clone(), RetentionMode::Apply).await {
                tracing::warn!(%error, "old rows of the ledger could not be deleted");
            }
        }
    }
}

fn retention_rules(configured: &BTreeMap<String, u32>) -> Vec<RetentionRule> {
    let days = |(table, default): (&str, u32)| configured.get(table).copied().unwrap_or(default);
    let rule = |(table, _): (&str, u32), time_column: &str, days| RetentionRule {
        table: table.to_owned(),
        time_column: time_column.to_owned(),
        order: RowOrder::Indexed,
        days,
    };
    let rows = days(ROWS);
    // Sums outlive their rows, however long these are kept, and the month that a budget is for.
    let sums = days((DAYS.0, DAYS.1.max(rows))).max(MONTH);
    vec![rule(ROWS, "timestamp", rows), rule(DAYS, "day", sums)]
}
