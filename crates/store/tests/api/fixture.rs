//! A database of notes in a directory of its own, and a sink that writes notes and can be made to fail.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use tempfile::TempDir;
use vx11_store::{Connection, Db, EmbeddedMigrations, Sink, StoreConfig, Writer, WriterConfig};

pub(crate) const MIGRATIONS: EmbeddedMigrations = diesel_migrations::embed_migrations!("tests/migrations");

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
    pub(crate) db: Db,
    pub(crate) dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let db = Db::open(StoreConfig::at(dir.path().join("data/notes.db")), MIGRATIONS).expect("a new database");
        Self { db, dir }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.db.path().to_owned()
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

    fn apply(&self, conn: &mut Connection, rows: &[String]) -> QueryResult<i64> {
        if self.full.load(Ordering::SeqCst) {
            conn.batch_execute("PRAGMA max_page_count = 1")?;
        }
        if self.read_only.load(Ordering::SeqCst) {
            conn.batch_execute("PRAGMA query_only = ON")?;
        }
        assert!(!rows.iter().any(|row| row == "panic"), "this row panics");
        let values: Vec<_> =
            rows.iter().map(|row| (notes::written_at.eq(vx11_store::time::now()), notes::text.eq(row))).collect();
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
