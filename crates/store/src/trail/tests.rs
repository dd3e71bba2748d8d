use diesel::Connection as _;
use diesel::connection::SimpleConnection;

use super::*;

/// A trail of 10 000 rows, one a second, with a mark every 256.
fn trail() -> Connection {
    let mut conn = Connection::establish(":memory:").expect("a database");
    conn.batch_execute(
        "CREATE TABLE copilot_actions_log (
             id INTEGER PRIMARY KEY NOT NULL, timestamp TEXT NOT NULL, source TEXT NOT NULL, session_id TEXT,
             correlation_id TEXT NOT NULL, action TEXT NOT NULL, action_type TEXT NOT NULL, target TEXT,
             status TEXT NOT NULL, mode TEXT NOT NULL, notes TEXT
         );
         CREATE INDEX actions_by_time ON copilot_actions_log (timestamp) WHERE id % 256 = 0;",
    )
    .expect("a table");
    for second in 0..10_000 {
        append(&mut conn, &at(second)).expect("a row");
    }
    conn
}

fn at(second: i64) -> Action {
    Action { timestamp: time(second), correlation_id: "c".to_owned(), ..Action::default() }
}

fn time(second: i64) -> String {
    crate::time::render(jiff::Timestamp::from_second(1_700_000_000 + second).expect("a time"))
}

/// The ids of all rows from the one second on and before the other.
fn between(conn: &mut Connection, since: Option<i64>, until: Option<i64>) -> Vec<i64> {
    let query = ActionQuery { since: since.map(time), until: until.map(time), ..ActionQuery::default() };
    let mut ids: Vec<i64> = list(conn, query, 100_000).expect("rows").into_iter().map(|row| row.id).collect();
    ids.reverse();
    ids
}

#[test]
fn rows_are_found_by_time_wherever_it_is() {
    let conn = &mut trail();
    for (since, until) in [(0, 10_000), (0, 1), (255, 257), (4000, 4001), (3000, 7000), (9990, 10_000)] {
        assert_eq!(between(conn, Some(since), Some(until)), (since + 1..=until).collect::<Vec<_>>());
    }
    assert_eq!(between(conn, Some(9_999), None), [10_000]);
    assert_eq!(between(conn, None, Some(2)), [1, 2]);
    assert!(between(conn, Some(10_000), None).is_empty() && between(conn, None, Some(0)).is_empty());
}

#[test]
fn rows_are_found_by_time_where_the_oldest_are_gone() {
    let conn = &mut trail();
    conn.batch_execute("DELETE FROM copilot_actions_log WHERE id < 9900").expect("fewer rows");
    assert_eq!(between(conn, None, Some(9901)), [9900, 9901]);
    conn.batch_execute("DELETE FROM copilot_actions_log WHERE id < 9990").expect("rows without a mark");
    assert_eq!(between(conn, Some(9_995), None), (9996..=10_000).collect::<Vec<_>>());
    assert_eq!(between(conn, None, Some(9_990)), [9990]);
}

#[test]
fn a_clock_that_is_set_back_hides_no_rows() {
    let conn = &mut trail();
    for second in 5_000..9_000 {
        append(conn, &at(second)).expect("a row");
    }
    let twice: Vec<i64> = (6_001..=6_010).chain(11_001..=11_010).collect();
    assert_eq!(between(conn, Some(6_000), Some(6_010)), twice);
}

#[test]
fn a_time_is_found_without_reading_the_table() {
    let conn = &mut trail();
    let first = marks::first_id_since(conn, &time(8_000)).expect("an id");
    let last = marks::last_id_before(conn, &time(8_010)).expect("an id");
    assert!((7_000..8_001).contains(&first) && (8_010..9_000).contains(&last), "{first} to {last}");
}
