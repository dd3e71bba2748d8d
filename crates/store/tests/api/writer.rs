//! The writer while the database is well.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prometheus::Registry;
use vx11_store::{WriteError, Writer, WriterConfig, WriterHealth};

use crate::fixture::{Home, eventually, patient};

#[tokio::test]
async fn what_is_acknowledged_is_in_the_database_and_the_sink_has_heard() {
    let home = Home::new();
    let (writer, sink) = home.writer(patient());
    for text in ["a", "b"] {
        writer.write(text.to_owned()).await.expect("durable");
        assert_eq!(home.texts().last().map(String::as_str), Some(text));
        assert_eq!(sink.committed.lock().expect("no panic").last().map(String::as_str), Some(text));
    }
    assert_eq!(sink.last_id.load(Ordering::SeqCst), 2);
    assert_eq!(writer.health(), WriterHealth::Ok);
}

#[tokio::test]
async fn rows_that_wait_together_share_a_transaction_and_keep_their_order() {
    let home = Home::new();
    let (writer, _) = home.writer(patient());
    // While somebody else holds the lock, for less than the writer's patience, rows gather.
    let lock = home.lock();
    for number in 0..300 {
        writer.try_enqueue(number.to_string()).expect("in memory");
    }
    drop(lock);
    writer.flush(Duration::from_secs(10)).await.expect("all durable");

    let expected: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    assert_eq!(home.texts(), expected);
    assert!(commits(&writer) <= 3, "{} commits for 300 rows", commits(&writer));
}

#[tokio::test]
async fn rows_that_nobody_waits_for_wait_for_one_that_somebody_does() {
    let home = Home::new();
    let (writer, _) = home.writer(WriterConfig { linger: Duration::from_secs(600), ..patient() });
    for text in ["a", "b", "c", "d"] {
        writer.try_enqueue(text.to_owned()).expect("in memory");
        // The thread is given its chance to take each by itself.
        tokio::task::yield_now().await;
    }
    writer.write("e".to_owned()).await.expect("durable");
    assert_eq!(home.texts(), ["a", "b", "c", "d", "e"]);
    assert_eq!(commits(&writer), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_one_of_many_callers_is_answered_once_its_row_is_durable() {
    let home = Home::new();
    let (writer, _) = home.writer(WriterConfig { max_batch: 7, ..patient() });
    let callers: Vec<_> = (0..200)
        .map(|number: u32| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(number.to_string()).await })
        })
        .collect();
    for caller in callers {
        caller.await.expect("no panic").expect("durable");
    }
    let mut numbers: Vec<u32> = home.texts().iter().map(|text| text.parse().expect("a number")).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_row_that_the_database_refuses_does_not_stop_the_others() {
    let home = Home::new();
    let (writer, sink) = home.writer(patient());
    // They gather behind the lock. An empty text breaks a constraint; "panic" makes the sink panic.
    let lock = home.lock();
    let writes: Vec<_> = ["1", "2", "", "3", "panic", "4"]
        .map(|row| {
            let writer = writer.clone();
            tokio::spawn(async move { writer.write(row.to_owned()).await })
        })
        .into();
    tokio::task::yield_now().await;
    drop(lock);

    let mut rejected = Vec::new();
    for write in writes {
        rejected.push(matches!(write.await.expect("no panic"), Err(WriteError::Rejected(_))));
    }
    assert_eq!(rejected, [false, false, true, false, true, false]);
    assert_eq!(home.texts(), ["1", "2", "3", "4"]);
    assert_eq!(*sink.committed.lock().expect("no panic"), home.texts());
    assert_eq!(writer.health(), WriterHealth::Ok);
}

#[tokio::test]
async fn a_full_queue_refuses_the_newest_and_counts_it() {
    let home = Home::new();
    // More patience than the test needs, so that the thread stays where it is.
    let config = WriterConfig { capacity: 3, ..patient() };
    let (writer, _) = home.writer(config);
    let lock = home.lock();
    for text in ["1", "2", "3"] {
        writer.try_enqueue(text.to_owned()).expect("in memory");
    }
    assert_eq!(writer.try_enqueue("4".to_owned()), Err(WriteError::Overloaded));
    assert_eq!(writer.write("5".to_owned()).await, Err(WriteError::Overloaded));
    assert!(exposition(&writer).contains("vx11_store_rows_dropped_total{reason=\"queue_full\"} 2"));
    drop(lock);
    writer.flush(Duration::from_secs(10)).await.expect("all durable");
    assert_eq!(home.texts(), ["1", "2", "3"]);
}

#[tokio::test]
async fn a_slow_commit_is_deferred_not_waited_for() {
    let home = Home::new();
    let config = WriterConfig { ack_timeout: Duration::from_millis(20), ..patient() };
    let (writer, _) = home.writer(config);
    let lock = home.lock();
    assert_eq!(writer.write("late".to_owned()).await, Err(WriteError::Deferred));
    drop(lock);
    writer.flush(Duration::from_secs(10)).await.expect("all durable");
    assert_eq!(home.texts(), ["late"]);
}

#[tokio::test]
async fn dropping_the_last_handle_writes_what_is_waiting() {
    let home = Home::new();
    let (writer, _) = home.writer(WriterConfig::default());
    for number in 0..100 {
        writer.try_enqueue(number.to_string()).expect("in memory");
    }
    drop(writer);
    eventually("100 rows are written", || home.texts().len() == 100).await;
}

#[tokio::test]
async fn its_numbers_are_in_the_registry() {
    let home = Home::new();
    let (writer, _) = home.writer(patient());
    writer.write("a".to_owned()).await.expect("durable");
    writer.flush(Duration::from_secs(10)).await.expect("nothing is left");

    let text = exposition(&writer);
    for line in [
        "vx11_store_commit_seconds_count 1",
        "vx11_store_rows_written_total 1",
        "vx11_store_rows_dropped_total{reason=\"backlog_full\"} 0",
        "vx11_store_queue_rows 0",
        "vx11_store_backlog_rows 0",
        "vx11_store_degraded 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

/// What Prometheus would scrape.
pub(crate) fn exposition(writer: &Writer<String>) -> String {
    let registry = Registry::new();
    writer.register(&registry).expect("a fresh registry");
    prometheus::TextEncoder::new().encode_to_string(&registry.gather()).expect("valid metrics")
}

fn commits(writer: &Writer<String>) -> u64 {
    let text = exposition(writer);
    let count = text.lines().find_map(|line| line.strip_prefix("vx11_store_commit_seconds_count "));
    count.expect("the histogram").parse().expect("a number")
}
