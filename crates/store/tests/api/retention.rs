//! Retention.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use vx11_store::time;
use vx11_store::upkeep::{RetentionMode, RetentionRule, RowOrder};

use crate::fixture::{Home, patient};

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
    ordered(table, time_column, RowOrder::Indexed)
}

fn ordered(table: &str, time_column: &str, order: RowOrder) -> RetentionRule {
    RetentionRule { table: table.to_owned(), time_column: time_column.to_owned(), order, days: 30 }
}

/// Notes of these times, in this order.
fn home_with_notes_of(times: &[(&str, usize)]) -> Home {
    let home = Home::new();
    for (time, count) in times {
        home.execute(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
             INSERT INTO notes (written_at, text) SELECT '{time}', 'of {time}' FROM n",
        ));
    }
    home
}

const OLD: &str = "2020-01-01T00:00:00.000Z";
const YOUNG: &str = "2999-01-01T00:00:00.000Z";

#[tokio::test]
async fn a_plan_counts_and_deletes_nothing() {
    let home = home_with_old_notes();
    for order in [RowOrder::Indexed, RowOrder::ById, RowOrder::ByLastingId] {
        let rules = vec![ordered("notes", "written_at", order)];
        let report = home.db.retention(rules, RetentionMode::Plan).await.expect("a report");
        assert!(!report.applied);
        assert_eq!((report.tables[0].rows, &report.tables[0].error), (3000, &None));
        assert_eq!(home.texts().len(), 3001);
    }
}

#[tokio::test]
async fn applied_it_deletes_what_is_old_and_gives_the_space_back() {
    for order in [RowOrder::Indexed, RowOrder::ById, RowOrder::ByLastingId] {
        let home = home_with_old_notes();
        home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        let before = home.db.size_bytes().await.expect("a size");

        let rules = vec![ordered("notes", "written_at", order)];
        let report = home.db.retention(rules, RetentionMode::Apply).await.expect("a report");
        assert!(report.applied);
        assert_eq!(report.tables[0].rows, 3000);
        assert_eq!(home.texts(), ["new"]);

        home.execute("PRAGMA wal_checkpoint(TRUNCATE)");
        let after = home.db.size_bytes().await.expect("a size");
        assert!(after < before / 4, "{before} bytes became {after}");
    }
}

#[tokio::test]
async fn by_id_an_old_row_behind_young_ones_waits_until_they_are_not_so_many() {
    let rules = || vec![ordered("notes", "written_at", RowOrder::ById)];
    // A clock that was behind for a while.
    let now = &*vx11_store::time::now();
    let home = home_with_notes_of(&[(now, 400), (OLD, 700), (now, 1000), (OLD, 1)]);
    let report = home.db.retention(rules(), RetentionMode::Apply).await.expect("a report");
    assert_eq!(report.tables[0].rows, 700);
    home.execute(&format!("DELETE FROM notes WHERE written_at = '{now}'"));
    let report = home.db.retention(rules(), RetentionMode::Apply).await.expect("a report");
    assert_eq!((report.tables[0].rows, home.texts().len()), (1, 0));
}

#[tokio::test]
async fn by_id_rows_from_the_future_keep_nothing_behind_them() {
    let rules = || vec![ordered("notes", "written_at", RowOrder::ById)];
    let home = home_with_notes_of(&[(YOUNG, 1200), (OLD, 10), (YOUNG, 600), (OLD, 1)]);
    for expected in [11, 0] {
        let report = home.db.retention(rules(), RetentionMode::Apply).await.expect("a report");
        assert_eq!(report.tables[0].rows, expected);
    }
    assert_eq!(home.texts().len(), 1800);
}

#[tokio::test]
async fn an_id_that_lasts_is_not_given_out_again() {
    let home = Home::new();
    home.execute(&format!(
        "CREATE TABLE events (id INTEGER PRIMARY KEY NOT NULL, at TEXT NOT NULL);
         INSERT INTO events (at) VALUES ('{OLD}'), ('{OLD}'), ('{OLD}');"
    ));
    let rules = || vec![ordered("events", "at", RowOrder::ByLastingId)];
    let plan = home.db.retention(rules(), RetentionMode::Plan).await.expect("a plan");
    let report = home.db.retention(rules(), RetentionMode::Apply).await.expect("a report");
    assert_eq!((plan.tables[0].rows, report.tables[0].rows), (2, 2));
    home.execute(&format!("INSERT INTO events (at) VALUES ('{OLD}')"));
    let newest = diesel::select(sql::<BigInt>("(SELECT max(id) FROM events)"));
    assert_eq!(newest.get_result::<i64>(&mut home.stranger()).expect("an id"), 4);
}

#[tokio::test]
async fn rows_of_a_key_of_several_columns_go_too() {
    let home = Home::new();
    home.execute(&format!(
        "CREATE TABLE sums (at TEXT NOT NULL, who TEXT NOT NULL, PRIMARY KEY (at, who)) WITHOUT ROWID;
         INSERT INTO sums VALUES ('{OLD}', 'a'), ('{OLD}', 'b'), ('{YOUNG}', 'a');"
    ));
    let rules = || vec![rule("sums", "at")];
    let report = home.db.retention(rules(), RetentionMode::Apply).await.expect("a report");
    assert_eq!((report.tables[0].rows, &report.tables[0].error), (2, &None));
    let left = home.db.row_counts().await.expect("counts");
    assert!(left.iter().any(|table| table.table == "sums" && table.rows == 1), "{left:?}");
}

#[tokio::test]
async fn a_rule_for_what_does_not_exist_is_reported_and_the_others_go_on() {
    let home = home_with_old_notes();
    let rules = vec![
        rule("nothing", "written_at"),
        rule("notes", "no_such_column"),
        ordered("authors", "name", RowOrder::ById),
        rule("notes", "written_at"),
    ];
    let report = home.db.retention(rules, RetentionMode::Apply).await.expect("a report");
    assert!(report.tables[..3].iter().all(|table| table.error.is_some() && table.rows == 0), "{report:?}");
    assert_eq!(report.tables[3].rows, 3000);
}

#[tokio::test]
async fn the_writer_goes_on_while_rows_are_deleted() {
    let home = home_with_old_notes();
    let (writer, _) = home.writer(patient());
    let db = home.db.clone();
    let retention =
        tokio::spawn(async move { db.retention(vec![rule("notes", "written_at")], RetentionMode::Apply).await });
    while !retention.is_finished() {
        writer.write("meanwhile".to_owned()).await.expect("durable");
    }
    let report = retention.await.expect("no panic").expect("a report");
    assert_eq!(report.tables[0].rows, 3000);
}
