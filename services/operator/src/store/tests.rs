mod replicas;

use std::time::Duration;

use diesel::Connection as _;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection as Connection;
use diesel_migrations::MigrationHarness;
use vx11_contracts::time;
use vx11_store::trail::ActionQuery;
use vx11_store::{OF_TENANTS, OrgColumn};

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

    let store = Store::at(dir.path()).expect("a store");
    let own = store.of(&OrgId::platform());
    let session = own.find_session("s").await.expect("an answer").expect("the session");
    assert_eq!((&*session.last_activity_at, session.turns), ("t2", 2));
    let turns = own.turns_of_request("c").await.expect("turns");
    assert_eq!((turns[0].id, &*turns[0].message, &*turns[0].response, turns[0].latency_ms), (7, "hello", "hi", 5));
    let actions = own.list_actions(ActionQuery::default(), 10).await.expect("actions");
    assert_eq!((actions[0].id, &*actions[0].action, &*actions[0].status), (9, "chat", "ok"));
    let rows = |counts: Vec<vx11_store::upkeep::TableRows>| counts.iter().map(|table| table.rows).collect::<Vec<_>>();
    assert_eq!(rows(store.database().row_counts().await.expect("counts")), [1, 1, 0, 1, 1]);

    let mut conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    for schema in ["the second", "the first"] {
        conn.revert_last_migration(MIGRATIONS).expect(schema);
    }
    assert_eq!(rows(store.database().row_counts().await.expect("counts")), [1, 1, 0, 1, 1]);
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
    let store = Store::at(dir.path()).expect("a store");
    assert_eq!(store.newest_action_id().await.expect("an id"), 9);
}

/// Two organisations that call a conversation and a request the same.
async fn two_say_the_same(store: &Store) -> [OrgId; 2] {
    let orgs = ["acme", "globex"].map(|id| id.parse::<OrgId>().expect("an id"));
    for org in &orgs {
        for number in 0..2 {
            store.writer.try_enqueue(chat(org, &format!("{org} asks {number}"))).expect("room");
        }
    }
    store.writer.flush(Duration::from_secs(60)).await.expect("written");
    orgs
}

/// A store with what they said.
async fn two_that_say_the_same() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Store::at(dir.path()).expect("a store");
    two_say_the_same(&store).await;
    (dir, store)
}

fn chat(org: &OrgId, message: &str) -> Record {
    let org_id = OrgColumn(org.clone());
    let turn = NewTurn {
        org_id: org_id.clone(),
        timestamp: time::now(),
        session_id: "s".to_owned(),
        correlation_id: "c".to_owned(),
        message: message.to_owned(),
        extras: None,
        response: "hi".to_owned(),
        reasoning: None,
        provider: "switch",
        model_used: "m".to_owned(),
        status: "DONE",
        degraded: false,
        fallback_source: None,
        latency_ms: 1,
        prompt_tokens: None,
        completion_tokens: None,
    };
    let performance = NewPerformance {
        org_id,
        timestamp: time::now(),
        correlation_id: "c".to_owned(),
        session_id: Some("s".to_owned()),
        endpoint: "/operator/api/chat".to_owned(),
        method: "POST",
        status_code: 200,
        latency_ms: 1,
        provider: None,
        degraded: false,
        error_type: None,
    };
    let action = Action { org_id: org.clone(), ..action("c", "chat", "chat", "ok") };
    Record::Chat(Box::new(ChatRecord { turn: Some(turn), action, performance }))
}

#[tokio::test]
async fn nothing_of_one_organisation_is_found_in_another() {
    let dir = tempfile::tempdir().expect("a directory");
    each_finds_its_own(&Store::at(dir.path()).expect("a store")).await;
}

async fn each_finds_its_own(store: &Store) {
    for org in &two_say_the_same(store).await {
        let own = store.of(org);
        let said = [format!("{org} asks 0"), format!("{org} asks 1")];
        let sessions = own.list_sessions(None, 10).await.expect("sessions");
        assert_eq!((sessions.len(), sessions[0].turns), (1, 2));
        assert_eq!(own.find_session("s").await.expect("an answer").expect("it").turns, 2);
        let told = |turns: Vec<vx11_contracts::operator::Turn>| turns.into_iter().map(|turn| turn.message);
        assert!(told(own.session_turns("s", 0, 10).await.expect("turns")).eq(said.clone()));
        assert!(told(own.turns_of_request("c").await.expect("turns")).eq(said.clone()));
        let newest = own.find_turn("c").await.expect("an answer").expect("a turn");
        assert_eq!(newest.message, said[1]);
        let before = own.recent_exchanges("s", Some(newest.id), 10).await.expect("exchanges");
        assert_eq!(before, [(said[0].clone(), "hi".to_owned())]);
        let rows = own.list_actions(ActionQuery::default(), 10).await.expect("rows");
        assert!(rows.len() == 2 && rows.iter().all(|row| row.org_id == *org));
        assert!(own.actions_after(0, 10).await.expect("rows").iter().all(|row| row.org_id == *org));
        assert_eq!(own.performance_since(String::new()).await.expect("a sum").total(), 2);
    }
    let none = store.of(&"initech".parse().expect("an id"));
    assert!(none.list_sessions(None, 10).await.expect("an answer").is_empty());
    assert!(none.find_session("s").await.expect("an answer").is_none());
    assert!(none.find_turn("c").await.expect("an answer").is_none());
}

#[tokio::test]
async fn what_a_tenant_looks_at_is_found_by_an_index_whatever_others_have() {
    #[derive(QueryableByName)]
    struct Step {
        #[diesel(sql_type = diesel::sql_types::Text)]
        detail: String,
    }
    let (_dir, store) = two_that_say_the_same().await;
    // As diesel writes them, as far as it matters.
    let listed =
        format!("FROM sessions WHERE org_id = ? AND {OF_TENANTS} ORDER BY last_activity_at DESC, session_id DESC");
    for (query, index) in [
        (&*listed, "sessions_of_tenants"),
        ("FROM turns WHERE session_id = ? AND org_id = ? AND id < ? ORDER BY id DESC", "turns_by_session"),
        ("FROM performance_minutes WHERE org_id = ? AND minute >= ?", "minutes_by_org"),
    ] {
        let plan = diesel::sql_query(format!("EXPLAIN QUERY PLAN SELECT * {query}"));
        let plan = move |conn: &mut AnyConnection| Ok::<_, StoreError>(plan.load(conn)?);
        let steps: Vec<Step> = store.database().read(Scope::Platform, plan).await.expect("a plan");
        let plan: Vec<&str> = steps.iter().map(|step| &*step.detail).collect();
        assert!(plan.len() == 1 && plan[0].contains(index), "{query}: {plan:?}");
    }
}

#[tokio::test]
async fn going_back_to_the_schema_without_organisations_mixes_no_conversations() {
    let (dir, store) = two_that_say_the_same().await;
    drop(store);
    let path = dir.path().join("operator.sqlite3");
    let mut conn = Connection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    // The store's own connections may not be closed yet.
    conn.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
    conn.revert_last_migration(MIGRATIONS).expect("the second schema");
    let sessions =
        "(SELECT group_concat(session_id || turns) FROM sessions WHERE session_id IN (SELECT session_id FROM turns))";
    let names: String =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(sessions)).get_result(&mut conn).expect("names");
    assert_eq!(names, "acme/s2,globex/s2");
}
