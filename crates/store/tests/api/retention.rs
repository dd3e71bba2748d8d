//! Retention.

use vx11_store::upkeep::{RetentionMode, RetentionRule};
use vx11_store::{WriterConfig, time};

use crate::fixture::Home;

/// 3000 notes of the year 2020, and one of now.
fn home_with_old_notes() -> Home {
    let home = Home::new();
    home.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO notes (written_at, text) SELECT '2020-01-01T00:00:00.000Z', hex(randomblob(200)) FROM n",
    );
    home.execute(&format!("INSERT INTO notes (written_at, text) VALUES ('{}', 'new')", time::now()));
    home
}

fn rule(table: &str, time_column: &str) -> RetentionRule {
    RetentionRule { table: table.to_owned(), time_column: time_column.to_owned(), days: 30 }
}

#[tokio::test]
async fn a_plan_counts_and_deletes_nothing() {
    let home = home_with_old_notes();
    let rules = vec![rule("notes", "written_at")];
    let report = home.db.retention(rules, RetentionMode::Plan).await.expect("a report");
    assert!(!report.applied);
    assert_eq!((report.tables[0].rows, &report.tables[0].error), (3000, &None));
    assert_eq!(home.texts().len(), 3001);
}

#[tokio::test]
async fn applied_it_deletes_what_is_old_and_gives_the_space_back() {
    let home = home_with_old_notes();
    home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let before = home.db.size_bytes().expect("a size");

    let rules = vec![rule("notes", "written_at")];
    let report = home.db.retention(rules, RetentionMode::Apply).await.expect("a report");
    assert!(report.applied);
    assert_eq!(report.tables[0].rows, 3000);
    assert_eq!(home.texts(), ["new"]);

    home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    let after = home.db.size_bytes().expect("a size");
    assert!(after < before / 4, "{before} bytes became {after}");
}

#[tokio::test]
async fn a_rule_for_what_does_not_exist_is_reported_and_the_others_go_on() {
    let home = home_with_old_notes();
    let rules = vec![rule("nothing", "written_at"), rule("notes", "no_such_column"), rule("notes", "written_at")];
    let report = home.db.retention(rules, RetentionMode::Apply).await.expect("a report");
    assert!(report.tables[0].error.is_some() && report.tables[1].error.is_some(), "{report:?}");
    assert_eq!((report.tables[0].rows, report.tables[1].rows, report.tables[2].rows), (0, 0, 3000));
}

#[tokio::test]
async fn the_writer_goes_on_while_rows_are_deleted() {
    let home = home_with_old_notes();
    let (writer, _) = home.writer(WriterConfig::default());
    let db = home.db.clone();
    let retention =
        tokio::spawn(async move { db.retention(vec![rule("notes", "written_at")], RetentionMode::Apply).await });
    while !retention.is_finished() {
        writer.write("meanwhile".to_owned()).await.expect("durable");
    }
    let report = retention.await.expect("no panic").expect("a report");
    assert_eq!(report.tables[0].rows, 3000);
}
