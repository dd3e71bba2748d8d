//! The writer while the database cannot be written: it says so, keeps rows, answers at once, and recovers by itself.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::atomic::Ordering;
use std::time::Duration;

use vx11_store::{WriteError, Writer, WriterConfig, WriterHealth};

use crate::fixture::{Home, eventually};
use crate::writer::exposition;

/// Impatient, so that the tests are quick.
fn config() -> WriterConfig {
    WriterConfig {
        busy_timeout: Duration::from_millis(20),
        retry_every: Duration::from_millis(20),
        ..WriterConfig::default()
    }
}

async fn write(writer: &Writer<String>, text: &str) -> Result<(), WriteError> {
    writer.write(text.to_owned()).await
}

fn reason(writer: &Writer<String>) -> String {
    match writer.health() {
        WriterHealth::Degraded { reason, .. } => reason,
        other => panic!("not degraded but {other:?}"),
    }
}

/// The writer defers the rows of an outage; when it is over, they are written first, in order, by the thread itself.
async fn rows_survive_the_outage(home: &Home, writer: &Writer<String>, words: &str, end_outage: impl FnOnce()) {
    assert_eq!(write(writer, "during").await, Err(WriteError::Deferred));
    assert_eq!(write(writer, "later").await, Err(WriteError::Deferred));
    assert_eq!(writer.try_enqueue("unheard".to_owned()), Ok(()));
    assert!(reason(writer).contains(words), "{}", reason(writer));
    let text = exposition(writer);
    assert!(text.contains("vx11_store_degraded 1") && text.contains("vx11_store_backlog_rows 3"), "{text}");

    end_outage();
    eventually("the writer is well again", || writer.health() == WriterHealth::Ok).await;
    write(writer, "after").await.expect("durable");
    assert!(home.texts().ends_with(&["during", "later", "unheard", "after"].map(str::to_owned)), "{:?}", home.texts());
    assert!(exposition(writer).contains("vx11_store_degraded 0"));
}

#[tokio::test]
async fn a_locked_database() {
    let home = Home::new();
    let (writer, _) = home.writer(config());
    write(&writer, "before").await.expect("durable");
    let lock = home.lock();
    rows_survive_the_outage(&home, &writer, "database is locked", || drop(lock)).await;
}

#[tokio::test]
async fn a_full_disk() {
    let home = Home::new();
    let (writer, sink) = home.writer(config());
    sink.full.store(true, Ordering::SeqCst);
    // A small row may still fit into a page that is in use.
    let row = "x".repeat(10_000);
    assert_eq!(write(&writer, &row).await, Err(WriteError::Deferred));
    assert!(reason(&writer).contains("database or disk is full"), "{}", reason(&writer));

    sink.full.store(false, Ordering::SeqCst);
    eventually("the writer is well again", || writer.health() == WriterHealth::Ok).await;
    assert!(home.texts().contains(&row));
}

#[tokio::test]
async fn a_connection_that_may_only_read() {
    let home = Home::new();
    let (writer, sink) = home.writer(config());
    sink.read_only.store(true, Ordering::SeqCst);
    rows_survive_the_outage(&home, &writer, "readonly", || sink.read_only.store(false, Ordering::SeqCst)).await;
}

#[tokio::test]
async fn a_read_only_file() {
    /// The file format's "write version", at byte 18: above 2, SQLite treats the file as read-only. Unlike file
    /// permissions, this holds for root too.
    fn set_write_version(home: &Home, version: u8) {
        let file = OpenOptions::new().write(true).open(home.path()).expect("the database");
        file.write_all_at(&[version], 18).expect("one byte");
    }
    let home = Home::new();
    home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    set_write_version(&home, 3);
    let (writer, _) = home.writer(config());
    rows_survive_the_outage(&home, &writer, "readonly", || set_write_version(&home, 2)).await;
}

#[tokio::test]
async fn a_directory_that_is_gone_and_cannot_be_made() {
    let home = Home::new();
    let (writer, _) = home.writer(config());
    write(&writer, "lost with the file").await.expect("durable");
    let data = home.path().parent().expect("a directory").to_owned();
    fs::remove_dir_all(&data).expect("deleted");
    fs::write(&data, "a file where the directory was").expect("a file");
    rows_survive_the_outage(&home, &writer, "data", || fs::remove_file(&data).expect("removed")).await;
    assert_eq!(home.texts().len(), 4, "the first row went with the file");
}

#[tokio::test]
async fn a_file_that_is_replaced_under_the_writer_gets_the_next_row() {
    let home = Home::new();
    let (writer, _) = home.writer(config());
    write(&writer, "lost with the file").await.expect("durable");
    fs::remove_dir_all(home.path().parent().expect("a directory")).expect("deleted");
    write(&writer, "in the new file").await.expect("durable");
    assert_eq!(home.texts(), ["in the new file"]);
}

#[tokio::test]
async fn beyond_its_memory_the_oldest_rows_go_and_are_counted() {
    let home = Home::new();
    let (writer, _) = home.writer(WriterConfig { capacity: 4, ..config() });
    let lock = home.lock();
    for number in 0..10 {
        assert_eq!(write(&writer, &number.to_string()).await, Err(WriteError::Deferred));
    }
    let dropped = "vx11_store_rows_dropped_total{reason=\"backlog_full\"} 6";
    eventually("six rows are dropped", || exposition(&writer).contains(dropped)).await;
    drop(lock);
    writer.flush(Duration::from_secs(10)).await.expect("all durable");
    assert_eq!(home.texts(), ["6", "7", "8", "9"]);
}

#[tokio::test]
async fn callers_that_wait_when_the_outage_begins_are_all_answered() {
    let home = Home::new();
    let (writer, _) = home.writer(WriterConfig { max_batch: 2, ..config() });
    let lock = home.lock();
    let callers: Vec<_> = (0..20)
        .map(|number: u32| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(number.to_string()).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.expect("no panic"), Err(WriteError::Deferred));
    }
    drop(lock);
    writer.flush(Duration::from_secs(10)).await.expect("all durable");
    assert_eq!(home.texts().len(), 20);
}

#[tokio::test]
async fn a_flush_during_an_outage_ends_in_time_and_says_what_is_left() {
    let home = Home::new();
    let (writer, _) = home.writer(config());
    let _lock = home.lock();
    assert_eq!(write(&writer, "a").await, Err(WriteError::Deferred));
    let left = writer.flush(Duration::from_millis(50)).await.expect_err("locked");
    assert_eq!(left.left, 1);
}
