//! Opening, and running queries.

use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use vx11_store::{Database, DatabaseConfig, StoreError};

use crate::fixture::{Home, MIGRATIONS, at, notes, run};

#[tokio::test]
async fn a_database_is_made_with_its_directory_and_schema_and_opened_again() {
    let home = Home::new();
    home.execute("INSERT INTO notes (written_at, text) VALUES ('2026', 'kept')");
    let again = Database::open(at(home.path()), MIGRATIONS).expect("the same database");
    let texts = run(&again, |conn| notes::table.select(notes::text).load::<String>(conn)).await.expect("a query");
    assert_eq!(texts, ["kept"]);
    again.ping().await.expect("it answers");
}

#[tokio::test]
async fn connections_are_durable_and_frugal() {
    #[derive(QueryableByName)]
    struct Pragma {
        #[diesel(sql_type = Text)]
        journal_mode: String,
        #[diesel(sql_type = BigInt)]
        synchronous: i64,
        #[diesel(sql_type = BigInt)]
        foreign_keys: i64,
        #[diesel(sql_type = BigInt)]
        cache_size: i64,
        #[diesel(sql_type = BigInt)]
        auto_vacuum: i64,
    }
    let home = Home::new();
    let query = "SELECT journal_mode, synchronous, foreign_keys, cache_size, auto_vacuum FROM pragma_journal_mode,
                 pragma_synchronous, pragma_foreign_keys, pragma_cache_size, pragma_auto_vacuum";
    let pragma: Pragma = run(&home.db, move |conn| sql_query(query).get_result(conn)).await.expect("pragmas");
    assert_eq!(pragma.journal_mode, "wal");
    assert_eq!((pragma.synchronous, pragma.foreign_keys), (2, 1), "FULL, ON");
    assert_eq!((pragma.cache_size, pragma.auto_vacuum), (-2048, 2), "2 MiB, INCREMENTAL");
}

#[test]
fn programs_that_start_at_once_make_one_schema() {
    for _ in 0..5 {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Each waits for those before it to have written the schema, however slow the disk is.
        let config = DatabaseConfig { busy_timeout: Duration::from_secs(60), ..at(dir.path().join("notes.db")) };
        std::thread::scope(|scope| {
            let open = || Database::open(config.clone(), MIGRATIONS).map(drop);
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for start in starts {
                start.join().expect("no panic").expect("each of them opens it");
            }
        });
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let home = Home::new();
    home.execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000000')");
    let error = Database::open(at(home.path()), MIGRATIONS).expect_err("it is from the future");
    let said = error.to_string();
    assert!(matches!(error, StoreError::NewerSchema { .. }), "{said}");
    assert!(said.contains("20991231000000") && said.contains("20260101000000"), "{said}");
}

#[test]
fn what_is_no_database_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("notes.db");
    std::fs::write(&path, "this is a text file, and long enough to be looked at as a database header".repeat(20))
        .expect("a file");
    let error = Database::open(at(&path), MIGRATIONS).expect_err("not a database");
    assert!(matches!(error, StoreError::Open { .. }), "{error}");
    let error = Database::open(at(path.join("below/a/file.db")), MIGRATIONS).expect_err("not a directory");
    assert!(matches!(error, StoreError::File { .. }), "{error}");
}

#[tokio::test]
async fn a_database_that_hangs_answers_busy_and_holds_no_more_threads_than_connections() {
    let home = Home::new();
    let config = DatabaseConfig { run_timeout: Duration::from_millis(200), ..at(home.path()) };
    let db = Database::open(config, MIGRATIONS).expect("the same database");

    let mut gates = Vec::new();
    for _ in 0..2 {
        let (gate, closed) = mpsc::channel::<()>();
        gates.push(gate);
        let stuck = run(&db, move |_| Ok(closed.recv().is_err())).await;
        assert!(matches!(stuck, Err(StoreError::Timeout(_))), "{stuck:?}");
    }
    let refused = db.ping().await;
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");

    drop(gates);
    let patient = Database::open(at(home.path()), MIGRATIONS).expect("the same database");
    patient.ping().await.expect("another pool never was stuck");
    let start = std::time::Instant::now();
    while db.ping().await.is_err() {
        assert!(start.elapsed() < Duration::from_secs(10), "the connections came back");
    }
}

#[tokio::test]
async fn a_panic_or_an_open_transaction_costs_only_its_own_query() {
    let home = Home::new();
    for _ in 0..3 {
        let panicked = run::<()>(&home.db, |_| panic!("in a query")).await;
        assert!(matches!(panicked, Err(StoreError::Panicked)), "{panicked:?}");
    }
    let note = "INSERT INTO notes (written_at, text) VALUES ('2026', 'never committed')";
    let failed = run::<()>(&home.db, move |conn| {
        conn.transaction(|conn| {
            conn.batch_execute(note)?;
            conn.batch_execute("INSERT INTO notes (written_at, author, text) VALUES ('2026', 'nobody', 'x')")
        })
    });
    assert!(matches!(failed.await, Err(StoreError::Query(_))), "an author must exist");
    assert_eq!(home.texts(), [""; 0]);
}

#[tokio::test]
async fn a_file_that_was_deleted_comes_back_empty_and_usable() {
    let home = Home::new();
    home.execute("INSERT INTO notes (written_at, text) VALUES ('2026', 'lost')");
    home.db.ping().await.expect("it answers");
    std::fs::remove_dir_all(home.path().parent().expect("a directory")).expect("deleted");

    let count = run(&home.db, |conn| notes::table.count().get_result::<i64>(conn)).await;
    assert_eq!(count.expect("a new database"), 0);
}

#[tokio::test]
async fn a_locked_database_can_be_read() {
    let home = Home::new();
    let _lock = home.lock();
    // On the pool's first connection, which is made now.
    let count = run(&home.db, |conn| notes::table.count().get_result::<i64>(conn)).await;
    assert_eq!(count.expect("readers need no lock"), 0);
    home.db.row_counts().await.expect("nor does upkeep that only looks");
}
