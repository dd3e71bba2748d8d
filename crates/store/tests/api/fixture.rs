//! A database of notes in a directory of its own, and a sink that writes notes and can be made to fail.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
pub(crate) use diesel::sqlite::SqliteConnection as Connection;
use tempfile::TempDir;
use vx11_store::{
    AnyConnection, Database, DatabaseConfig, EmbeddedMigrations, Migrations, Scope, Sink, StoreError, Writer,
    WriterConfig,
};

const NOTES: EmbeddedMigrations = diesel_migrations::embed_migrations!("tests/migrations");
/// Never on PostgreSQL.
pub(crate) const MIGRATIONS: Migrations = Migrations { sqlite: NOTES, postgres: NOTES };

/// SQLite at `path`, with two connections.
pub(crate) fn at(path: impl Into<PathBuf>) -> DatabaseConfig {
    DatabaseConfig { pool_size: 2, pool_timeout: Duration::from_secs(1), ..DatabaseConfig::new(None, "notes", path) }
}

/// Runs queries of SQLite's.
pub(crate) async fn run<T: Send + 'static>(
    db: &Database,
    work: impl FnOnce(&mut Connection) -> QueryResult<T> + Send + 'static,
) -> Result<T, StoreError> {
    let work = move |conn: &mut AnyConnection| match conn {
        AnyConnection::Sqlite(conn) => Ok(work(conn)?),
        AnyConnection::Postgres(_) => unreachable!("it is on SQLite"),
    };
    db.read(Scope::Platform, work).await
}

diesel::table! {
    notes (id) {
        id -> BigInt,
        written_at -> Text,
        author -> Nullable<Text>,
        text -> Text,
    }
}

/// A database in a directory that lives as long as this.
pub(crate) struct Home {
    pub(crate) db: Database,
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let db = Database::open(at(dir.path().join("data/notes.db")), MIGRATIONS).expect("a new database");
        Self { db, dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("data/notes.db")
    }

    /// A connection that the store knows nothing of.
    pub(crate) fn stranger(&self) -> Connection {
        let mut stranger = Connection::establish(self.path().to_str().expect("UTF-8")).expect("a connection");
        stranger.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
        stranger
    }

    /// Somebody else's transaction, which keeps writers out until the connection is dropped.
    pub(crate) fn lock(&self) -> Connection {
        let mut stranger = self.stranger();
        stranger.batch_execute("BEGIN EXCLUSIVE").expect("the lock");
        stranger
    }

    pub(crate) fn execute(&self, sql: &str) {
        self.stranger().batch_execute(sql).expect(sql);
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        notes::table.select(notes::text).order(notes::id).load(&mut self.stranger()).expect("notes")
    }

    pub(crate) fn writer(&self, config: WriterConfig) -> (Writer<String>, Notes) {
        let sink = Notes::default();
        (Writer::start(&self.db, sink.clone(), config).expect("a thread"), sink)
    }
}

/// More patience than any test needs, for one in which the database is well however slow the disk is.
pub(crate) fn patient() -> WriterConfig {
    let minute = Duration::from_secs(60);
    WriterConfig { busy_timeout: minute, ack_timeout: minute, ..WriterConfig::default() }
}

/// Writes each row as a note's text.
#[derive(Clone, Default)]
pub(crate) struct Notes {
    /// The texts that were reported as committed, and the greatest id.
    pub(crate) committed: Arc<Mutex<Vec<String>>>,
    pub(crate) last_id: Arc<AtomicI64>,
    /// The disk is full.
    pub(crate) full: Arc<AtomicBool>,
    /// The connection may only read.
    pub(crate) read_only: Arc<AtomicBool>,
}

impl Sink for Notes {
    type Row = String;
    type Receipt = i64;

    fn apply(&self, conn: &mut AnyConnection, rows: &[String]) -> QueryResult<i64> {
        if self.full.load(Ordering::SeqCst) {
            conn.batch_execute("PRAGMA max_page_count = 1")?;
        }
        if self.read_only.load(Ordering::SeqCst) {
            conn.batch_execute("PRAGMA query_only = ON")?;
        }
        assert!(!rows.iter().any(|row| row == "panic"), "this row panics");
        let values: Vec<_> =
            rows.iter().map(|row| (notes::written_at.eq(vx11_store::time::now()), notes::text.eq(row))).collect();
        let AnyConnection::Sqlite(conn) = conn else { unreachable!("it is on SQLite") };
        diesel::insert_into(notes::table).values(&values).execute(conn)?;
        notes::table.select(diesel::dsl::max(notes::id)).first(conn).map(Option::unwrap_or_default)
    }

    fn committed(&mut self, rows: &[String], last_id: i64) {
        self.committed.lock().expect("no panic").extend_from_slice(rows);
        self.last_id.store(last_id, Ordering::SeqCst);
    }
}

/// Waits until `holds`, at most ten seconds.
pub(crate) async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "still not so after 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
