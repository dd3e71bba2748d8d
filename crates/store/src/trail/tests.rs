use diesel::Connection as _;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;

use super::*;

/// A trail of 10 000 rows, one a second, with a mark every 256.
fn trail() -> AnyConnection {
    let mut conn = AnyConnection::Sqlite(SqliteConnection::establish(":memory:").expect("a database"));
    conn.batch_execute(
        "CREATE TABLE copilot_actions_log (
             id INTEGER PRIMARY KEY NOT NULL, timestamp TEXT NOT NULL, source TEXT NOT NULL, session_id TEXT,
             correlation_id TEXT NOT NULL, action TEXT NOT NULL, action_type TEXT NOT NULL, target TEXT,
             status TEXT NOT NULL, mode TEXT NOT NULL, notes TEXT, org_id TEXT NOT NULL
         );
         CREATE INDEX actions_of_tenants ON copilot_actions_log (org_id) WHERE org_id <> 'default';
         CREATE INDEX actions_by_time ON copilot_actions_log (timestamp) WHERE id % 256 = 0;",
    )
    .expect("a table");
    let rows: Vec<Action> = (0..10_000).map(at).collect();
    append(&mut conn, &rows.iter().collect::<Vec<_>>()).expect("rows");
    conn
}

fn at(second: i64) -> Action {
    Action { timestamp: time(second), correlation_id: "c".to_owned(), ..Action::default() }
}

fn time(second: i64) -> String {
    crate::time::render(jiff::Timestamp::from_second(1_700_000_000 + second).expect("a time"))
}

/// The ids of all rows from the one second on and before the other.
fn between(conn: &mut AnyConnection, since: Option<i64>, until: Option<i64>) -> Vec<i64> {
    let query = ActionQuery { since: since.map(time), until: until.map(time), ..ActionQuery::default() };
    let mut ids: Vec<i64> =
        list(conn, &OrgId::platform(), query, 100_000).expect("rows").into_iter().map(|row| row.id).collect();
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
        append(conn, &[&at(second)]).expect("a row");
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

#[test]
fn rows_of_one_organisation_are_no_others_and_are_found_without_theirs() {
    let conn = &mut trail();
    let acme: OrgId = "acme".parse().expect("an id");
    append(conn, &[&Action { org_id: acme.clone(), ..at(1) }]).expect("a row");
    append(conn, &[&at(2)]).expect("a row");
    let of = |conn: &mut AnyConnection, org: &OrgId, query: ActionQuery| {
        let rows = list(conn, org, query, 10).expect("rows");
        rows.into_iter().map(|row| (row.id, row.org_id)).collect::<Vec<_>>()
    };
    let all = [ActionQuery::default(), ActionQuery { correlation_id: Some("c".to_owned()), ..ActionQuery::default() }];
    for query in all {
        assert_eq!(of(conn, &acme, query.clone()), [(10_001, acme.clone())]);
        assert!(of(conn, &OrgId::platform(), query.clone()).iter().all(|(id, _)| *id != 10_001));
        assert_eq!(of(conn, &"globex".parse().expect("an id"), query), []);
    }
    let ids = |rows: Vec<Action>| rows.iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(ids(after(conn, &acme, 0, 10).expect("rows")), [10_001]);
    assert_eq!(ids(after(conn, &OrgId::platform(), 9_999, 10).expect("rows")), [10_000, 10_002]);
    assert_eq!(ids(of_all_after(conn, 9_999, 10).expect("rows")), [10_000, 10_001, 10_002]);

    let plan =
        "EXPLAIN QUERY PLAN SELECT id FROM copilot_actions_log WHERE org_id = ? AND org_id <> 'default' AND id > ?
         ORDER BY id LIMIT 10";
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = Text)]
        detail: String,
    }
    let steps: Vec<Step> = diesel::sql_query(plan).load(conn).expect("a plan");
    assert!(steps.iter().all(|step| step.detail.contains("actions_of_tenants")), "{}", steps[0].detail);
}
