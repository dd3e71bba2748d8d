//! The audit log over HTTP: what is in it, and that it is found where somebody was at it.

use std::collections::BTreeSet;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::identity::{key, with};

const OWN_FILE: &str = "audit-heads.jsonl";

/// Asks for a decision, and approves it.
async fn decided(app: &App, id: &str) {
    let asked = app.post("/operator/api/interventions", json!({"request_id": id, "title": "May it run?"})).await;
    assert_eq!(asked.status, 201, "{}", asked.body);
    assert_eq!(approve(app, id).await.status, 200);
}

async fn approve(app: &App, id: &str) -> Answer {
    let request = app.request(Method::POST, &format!("/operator/api/interventions/{id}/approve"));
    let request = request.header("x-forwarded-for", "203.0.113.7").header("x-correlation-id", format!("c-{id}"));
    Answer::of(request.json(&json!({"version": 1}))).await
}

async fn rows(app: &App, query: &str) -> Vec<Value> {
    let answer = app.get(&format!("/operator/api/audit-log{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.data()["items"].as_array().expect("a list").clone()
}

async fn verdict(app: &App) -> Value {
    let answer = app.get("/operator/api/audit-log/verify").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.data().clone()
}

/// Waits until nothing waits to be linked, and at least so many rows are.
async fn linked(app: &App, rows: u64) {
    eventually("all is linked", async || {
        let verdict = verdict(app).await;
        assert_eq!(verdict["intact"], true, "{verdict}");
        verdict["unlinked"] == 0 && verdict["head"]["seq"].as_u64() >= Some(rows)
    })
    .await;
}

/// Does as an intruder does who can write the file.
fn tamper(app: &App, sql: &str) {
    let file = app.data_dir().join("control.sqlite3");
    let mut conn = diesel::SqliteConnection::establish(file.to_str().expect("UTF-8")).expect("a connection");
    conn.batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}")).expect("an intruder may");
}

#[tokio::test]
async fn decisions_and_refusals_are_in_the_log() {
    let app = App::start().await;
    decided(&app, "r1").await;
    for _ in 0..30 {
        assert_eq!(approve(&app, "r1").await.status, 409);
    }
    assert_eq!(approve(&app, "nothing").await.status, 404);
    let viewer = app.post("/operator/api/keys", json!({"name": "v", "role": "VIEWER", "scopes": ["read"]})).await;
    let key = viewer["data"]["secret"].as_str().expect("a key").to_owned();
    for _ in 0..3 {
        let path = "/operator/api/interventions/r1/approve";
        let denied = Answer::of(app.anyone(Method::POST, path).bearer_auth(&key).json(&json!({}))).await;
        assert_eq!(denied.status, 403);
    }
    let bad = json!({"name": "", "role": "VIEWER", "scopes": ["read"]});
    assert_eq!(app.post("/operator/api/keys", bad).await.status, 422);
    eventually("the refusals are in the log", async || rows(&app, "?outcome=refused").await.len() >= 4).await;

    let of_r1 = rows(&app, "?target=r1&outcome=allowed").await;
    assert_eq!(of_r1.len(), 1);
    assert_eq!((&of_r1[0]["actor"], &of_r1[0]["action"]), (&json!("service"), &json!("intervention.approve")));
    assert_eq!((&of_r1[0]["client"], &of_r1[0]["correlation_id"]), (&json!("203.0.113.7"), &json!("c-r1")));
    let refused = rows(&app, "?outcome=refused").await;
    let one = |action: &str, why: &str| {
        let found: Vec<_> =
            refused.iter().filter(|row| row["action"] == action && row["details"]["why"] == why).collect();
        assert_eq!(found.len(), 1, "{action} {why}: {refused:?}");
        found[0].clone()
    };
    assert!(one("intervention.approve", "conflict")["details"]["count"].as_u64() <= Some(30));
    assert_eq!(one("intervention.approve", "not_found")["target_id"], "nothing");
    assert_eq!(one("access", "forbidden")["target_id"], "POST /operator/api/interventions/{id}/approve");
    one("key.create", "invalid_field");
    assert_eq!(rows(&app, "?action=key.create&outcome=allowed").await.len(), 1);
    linked(&app, 0).await;
    for bad in
        ["?before=x", "?since=x", "?outcome=x", "?limit=0", "?actor=%00", "/verify?seq=1", "/verify?seq=1&hash=x"]
    {
        let answer = app.get(&format!("/operator/api/audit-log{bad}")).await;
        assert_eq!(answer.status, 422, "{bad}: {}", answer.body);
    }
    let files = ["control.sqlite3", "control.sqlite3-wal"].map(|name| std::fs::read(app.data_dir().join(name)));
    let files = files.map(|bytes| bytes.expect("a file"));
    let is_there = |text: &str| files.iter().any(|bytes| bytes.windows(text.len()).any(|part| part == text.as_bytes()));
    assert!(is_there("intervention.approve"), "this would find it");
    assert!(!is_there(&key));
}

#[tokio::test]
async fn methods_that_a_caller_makes_up_are_one_kind_of_refusal() {
    let app = App::start().await;
    let (_, viewer) = key(&app, "default", "VIEWER", &["read"]).await;
    for number in 0..150 {
        let method: Method = format!("M{number}").parse().expect("a token");
        let denied = with(&viewer, app.anyone(method, "/operator/api/interventions/r1/approve")).await;
        assert_eq!(denied.status, 403, "{}", denied.body);
    }
    eventually("the first is in the log", async || !rows(&app, "?action=access").await.is_empty()).await;
    let refused = rows(&app, "?action=access").await;
    let targets: BTreeSet<_> = refused.iter().map(|row| row["target_id"].as_str().expect("a target")).collect();
    assert_eq!(targets, ["OTHER /operator/api/interventions/{id}/approve"].into(), "{refused:?}");
    app.written().await;
    let trail = app.get("/operator/api/audit?action=access&limit=500").await;
    let in_trail = trail.data()["items"].as_array().expect("rows").len();
    assert!((60..150).contains(&in_trail), "a caller leaves so many rows a minute there: {in_trail}");
}

#[tokio::test]
async fn refusals_that_are_left_are_written_when_it_stops() {
    // One that outlives the app.
    let kept = tempfile::tempdir().expect("a directory");
    let app = App::with(&[("VX11_DATA_DIR", kept.path().to_str().expect("UTF-8"))]).await;
    decided(&app, "r1").await;
    for _ in 0..20 {
        approve(&app, "r1").await;
    }
    app.begin_shutdown();
    app.stopped().await;
    let path = kept.path().join("control.sqlite3");
    let mut conn = diesel::SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a connection");
    let sum = "(SELECT CAST(sum(json_extract(details, '$.count')) AS BIGINT) FROM audit_log WHERE outcome = 'refused')";
    let counted: i64 =
        diesel::select(diesel::dsl::sql::<diesel::sql_types::BigInt>(sum)).get_result(&mut conn).expect("a number");
    assert_eq!(counted, 20);
}

#[tokio::test]
async fn a_changed_row_is_named() {
    let app = App::start().await;
    for id in ["r1", "r2", "r3"] {
        decided(&app, id).await;
    }
    linked(&app, 3).await;
    tamper(&app, "DROP TRIGGER audit_log_is_only_linked; UPDATE audit_log SET actor = 'nobody' WHERE seq = 2");
    let after = verdict(&app).await;
    assert_eq!((&after["intact"], &after["broken"]["seq"]), (&json!(false), &json!(2)));
    assert_eq!(after["head"], Value::Null);
}

#[tokio::test]
async fn an_end_that_was_cut_is_found_by_the_noted_one() {
    let app = App::with(&[("VX11_OPERATOR__AUDIT__HEADS_INTERVAL", "20ms")]).await;
    for id in ["r1", "r2", "r3"] {
        decided(&app, id).await;
    }
    let noted = app.data_dir().join(OWN_FILE);
    eventually("the end is noted", async || {
        std::fs::read_to_string(&noted).unwrap_or_default().contains(r#""audit.seq":3"#)
    })
    .await;
    let head = verdict(&app).await["head"].clone();
    tamper(
        &app,
        "DROP TRIGGER audit_log_is_not_deleted; DROP TRIGGER audit_heads_go_on; DELETE FROM audit_log WHERE seq = 3;
         UPDATE audit_heads SET seq = 2, hash = (SELECT hash FROM audit_log WHERE seq = 2)",
    );
    let cut = verdict(&app).await;
    assert_eq!((&cut["intact"], &cut["broken"]["seq"]), (&json!(false), &json!(3)), "{cut}");
    eventually("it is seen by itself", async || app.metric("vx11_audit_logs_broken").await == 1.0).await;
    // What was noted of it stays, however long it goes on.
    decided(&app, "r4").await;
    let forged = verdict(&app).await;
    assert_eq!((&forged["intact"], &forged["broken"]["seq"]), (&json!(false), &json!(3)), "{forged}");
    // An auditor's own note does the same.
    let hash = head["hash"].as_str().expect("a hash");
    let asked = app.get(&format!("/operator/api/audit-log/verify?seq=3&hash={hash}")).await;
    assert_eq!(asked.data()["broken"]["seq"], 3);
}

#[tokio::test]
async fn an_end_that_went_back_is_not_noted_even_where_its_rows_are_still_there() {
    let app = App::with(&[("VX11_OPERATOR__AUDIT__HEADS_INTERVAL", "20ms")]).await;
    for id in ["r1", "r2", "r3"] {
        decided(&app, id).await;
    }
    let noted = app.data_dir().join(OWN_FILE);
    let is_noted = || std::fs::read_to_string(&noted).unwrap_or_default().contains(r#""audit.seq":3"#);
    eventually("the end is noted", async || is_noted()).await;
    tamper(
        &app,
        "DROP TRIGGER audit_log_is_not_deleted; DROP TRIGGER audit_heads_go_on;
         UPDATE audit_heads SET seq = 2, hash = (SELECT hash FROM audit_log WHERE seq = 2)",
    );
    eventually("it is seen", async || app.metric("vx11_audit_logs_broken").await == 1.0).await;
    tamper(&app, "DELETE FROM audit_log WHERE seq = 3");
    assert!(is_noted());
    let cut = verdict(&app).await;
    assert_eq!((&cut["intact"], &cut["broken"]["seq"]), (&json!(false), &json!(3)), "{cut}");
}

#[tokio::test]
async fn an_organisation_sees_its_own_log_only() {
    let app = App::start().await;
    decided(&app, "r1").await;
    assert_eq!(app.post("/operator/api/orgs", json!({"id": "acme"})).await.status, 201);
    let body = json!({"name": "a", "org": "acme", "role": "ADMIN", "scopes": ["read", "admin"]});
    let made = app.post("/operator/api/keys", body).await;
    let key = made["data"]["secret"].as_str().expect("a key").to_owned();
    let theirs = Answer::of(app.anyone(Method::GET, "/operator/api/audit-log").bearer_auth(&key)).await;
    let items = theirs.data()["items"].as_array().expect("a list").clone();
    assert_eq!(items.len(), 1, "{}", theirs.body);
    assert_eq!((&items[0]["action"], &items[0]["org_id"]), (&json!("key.create"), &json!("acme")));
    assert_eq!(items[0]["details"]["by_org"], "default");
    eventually("it is linked", async || {
        let proven = Answer::of(app.anyone(Method::GET, "/operator/api/audit-log/verify").bearer_auth(&key)).await;
        assert_eq!((proven.status, &proven.data()["intact"]), (200, &json!(true)));
        proven.data()["head"]["seq"] == 1
    })
    .await;
}
