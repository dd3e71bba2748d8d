use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel_migrations::MigrationHarness;
use vx11_store::Connection;
use vx11_store::trail::ActionQuery;

use super::*;

#[tokio::test]
async fn what_the_first_schema_held_is_kept_there_and_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("operator.sqlite3");
    let mut conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    conn.run_next_migration(MIGRATIONS).expect("the first schema");
    conn.batch_execute(
        "INSERT INTO sessions VALUES ('s', 't1', 't2', 2);
         INSERT INTO turns VALUES (7, 't1', 's', 'c', 'hello', NULL, 'hi', NULL, 'switch', 'm', 'ok', 0, NULL, 5, 1, 2);
         INSERT INTO copilot_actions_log VALUES (9, 't1', 'operator', 's', 'c', 'chat', 'chat', NULL, 'ok', 'normal', NULL);
         INSERT INTO performance_logs VALUES (3, 't1', 'c', 's', '/', 'GET', 200, 5, NULL, 0, NULL);",
    )
    .expect("a row each");
    drop(conn);

    let store = Store::open(StoreConfig::at(&path)).expect("a store");
    let session = store.find_session("s").await.expect("an answer").expect("the session");
    assert_eq!((&*session.last_activity_at, session.turns), ("t2", 2));
    let turns = store.turns_of_request("c").await.expect("turns");
    assert_eq!((turns[0].id, &*turns[0].message, &*turns[0].response, turns[0].latency_ms), (7, "hello", "hi", 5));
    let actions = store.list_actions(ActionQuery::default(), 10).await.expect("actions");
    assert_eq!((actions[0].id, &*actions[0].action, &*actions[0].status), (9, "chat", "ok"));
    let rows = |counts: Vec<vx11_store::upkeep::TableRows>| counts.iter().map(|table| table.rows).collect::<Vec<_>>();
    assert_eq!(rows(store.db().row_counts().await.expect("counts")), [1, 1, 0, 1, 1]);

    let mut conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    conn.revert_last_migration(MIGRATIONS).expect("the first schema again");
    assert_eq!(rows(store.db().row_counts().await.expect("counts")), [1, 1, 0, 1, 1]);
}

#[tokio::test]
async fn ids_of_events_that_are_gone_do_not_come_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("operator.sqlite3");
    let mut conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    conn.run_next_migration(MIGRATIONS).expect("the first schema");
    conn.batch_execute(
        "INSERT INTO copilot_actions_log VALUES (9, 't1', 'operator', 's', 'c', 'chat', 'chat', NULL, 'ok', 'normal', NULL);
         DELETE FROM copilot_actions_log;",
    )
    .expect("a row, and its end");
    drop(conn);
    let store = Store::open(StoreConfig::at(&path)).expect("a store");
    assert_eq!(store.newest_action_id().await.expect("an id"), 9);
}
