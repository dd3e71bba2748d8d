//! What is learned from requests, as callers get it.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, App};

const INTERVENTIONS: &str = "/operator/api/interventions";
const ANOMALIES: &str = "/operator/api/insights/anomalies";
const PERFORMANCE: &str = "/operator/api/insights/performance";
const ON: &[(&str, &str)] = &[
    ("VX11_OPERATOR__INSIGHTS__ANOMALIES", "true"),
    ("VX11_OPERATOR__INSIGHTS__ROUTING", "true"),
    ("VX11_OPERATOR__INSIGHTS__PERFORMANCE", "true"),
];

async fn ask(app: &App, body: Value) -> String {
    let asked = app.post(INTERVENTIONS, body).await;
    assert_eq!(asked.status, 201, "{}", asked.body);
    asked["data"]["request_id"].as_str().expect("an id").to_owned()
}

/// A key of the organisation `default`: its secret, and the name under which it acts.
async fn key(app: &App, role: &str) -> (String, String) {
    let body = json!({"name": "a test's", "role": role, "scopes": ["read", "pilot", "agent", "admin"]});
    let made = app.post("/operator/api/keys", body).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    (text(&made["data"]["secret"]), text(&made["data"]["key"]["subject"]))
}

async fn with(app: &App, key: &str, method: Method, path: &str, body: Value) -> Answer {
    Answer::of(app.anyone(method, path).bearer_auth(key).json(&body)).await
}

/// Pilots as logins make them.
fn pilots(app: &App, ids: &[&str]) {
    let file = app.data_dir().join("control.sqlite3");
    let mut control = diesel::SqliteConnection::establish(file.to_str().expect("UTF-8")).expect("a connection");
    control.batch_execute("PRAGMA busy_timeout = 5000").expect("a pragma");
    for id in ids {
        let row = format!("'default', '{id}', '{id}', 'OPERATOR', '2026-11-22T10:00:00.000Z'");
        let insert = format!("INSERT INTO pilots (org_id, pilot_id, name, role, created_at) VALUES ({row})");
        control.batch_execute(&insert).expect("a pilot");
    }
}

#[tokio::test]
async fn each_is_off_unless_it_is_switched_on() {
    let app = App::start().await;
    let id = ask(&app, json!({"title": "Deploy?"})).await;
    let suggestions = format!("{INTERVENTIONS}/{id}/suggestions");
    for path in [ANOMALIES, PERFORMANCE, &suggestions, "/operator/api/pilots/ann/routing"] {
        let off = app.get(path).await;
        assert_eq!((off.status, off.code()), (403, "off_by_policy"), "{path}: {}", off.body);
        assert!(off.body.contains("VX11_OPERATOR__INSIGHTS__"), "{}", off.body);
    }
    let one = App::with(&ON[..1]).await;
    assert_eq!((one.get(ANOMALIES).await.status, one.get(PERFORMANCE).await.status), (200, 403));
}

#[tokio::test]
async fn a_burst_and_what_expires_unread_are_anomalies() {
    let app = App::with(ON).await;
    for n in 0..21 {
        ask(&app, json!({"title": format!("r{n}"), "expires_in_seconds": if n < 12 { json!(-1) } else { json!(60) }}))
            .await;
    }
    crate::app::eventually("they have expired", async || {
        app.get(&format!("{INTERVENTIONS}/metrics")).await.data()["expired_interventions"].as_u64() == Some(12)
    })
    .await;
    let found = app.get(ANOMALIES).await;
    assert_eq!((found.status, &found["data"]["requests"], &found["data"]["is_whole"]), (200, &json!(21), &json!(true)));
    let of = |kind: &str| {
        let all = found["data"]["anomalies"].as_array().expect("a list");
        all.iter().find(|anomaly| anomaly["kind"] == kind).cloned().unwrap_or_else(|| panic!("{kind}: {}", found.body))
    };
    assert_eq!((&of("burst")["subject"], &of("unanswered")["subject"]), (&json!("service"), &Value::Null));
    assert_eq!(of("unanswered")["reason"], "12 of 12 requests expired unanswered");
    for (query, field) in [("?period=2h", "period"), ("?since=1", "since")] {
        let refused = app.get(&format!("{ANOMALIES}{query}")).await;
        assert_eq!((refused.status, refused.field()), (422, field), "{}", refused.body);
    }
}

#[tokio::test]
async fn an_admin_sees_how_all_do_and_others_themselves() {
    let app = App::with(ON).await;
    let ((ann, anns), (bob, bobs), (root, _)) =
        (key(&app, "OPERATOR").await, key(&app, "OPERATOR").await, key(&app, "ADMIN").await);
    for (key, verdict) in [(&ann, "approve"), (&ann, "reject"), (&bob, "approve")] {
        let id = ask(&app, json!({"title": "Deploy?"})).await;
        let path = format!("{INTERVENTIONS}/{id}/{verdict}");
        assert_eq!(with(&app, key, Method::POST, &path, json!({"version": 1})).await.status, 200);
    }
    let seen =
        async |key: &str, query: &str| with(&app, key, Method::GET, &format!("{PERFORMANCE}{query}"), json!({})).await;
    let ids = |answer: &Answer| {
        let pilots = answer["data"]["pilots"].as_array().expect("a list").clone();
        pilots.iter().map(|pilot| pilot["pilot_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    let all = seen(&root, "?period=1h").await;
    assert_eq!(ids(&all), [anns.clone(), bobs.clone()], "{}", all.body);
    let (whole, first) = (&all["data"]["organisation"], &all["data"]["pilots"][0]);
    assert_eq!((&whole["total"], &whole["approved"], &first["approval_rate"]), (&json!(3), &json!(2), &json!(0.5)));
    assert_eq!(first["response_times"]["buckets"].as_array().map(Vec::len), Some(9));
    let own = seen(&bob, "").await;
    assert_eq!((ids(&own), &own["data"]["organisation"]["total"]), (vec![bobs.clone()], &json!(3)));
    let named = seen(&root, &format!("?pilot_id={bobs}")).await;
    assert_eq!((ids(&named), &named["data"]["organisation"]), (vec![bobs.clone()], &Value::Null));
    assert_eq!(ids(&seen(&bob, &format!("?pilot_id={bobs}")).await), [bobs]);
    let refused = seen(&bob, &format!("?pilot_id={anns}")).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
    let acme = app.post("/operator/api/orgs", json!({"id": "acme"})).await;
    assert_eq!(acme.status, 201);
    let theirs = json!({"name": "t", "org": "acme", "role": "ADMIN", "scopes": ["read", "admin"]});
    let theirs = app.post("/operator/api/keys", theirs).await["data"]["secret"].as_str().expect("a key").to_owned();
    assert_eq!(seen(&theirs, "").await["data"]["requests"], 0);
}

#[tokio::test]
async fn the_pilot_whom_a_request_suits_is_the_first_and_it_says_why() {
    let app = App::with(ON).await;
    let id = ask(&app, json!({"title": "Deploy?", "action": {"name": "deploy"}})).await;
    pilots(&app, &["corp:ann", "corp:zoe"]);
    let routing = |pilot: &str| format!("/operator/api/pilots/{pilot}/routing");
    let put = async |pilot: &str, body: Value| Answer::of(app.request(Method::PUT, &routing(pilot)).json(&body)).await;
    let kept = put("corp:zoe", json!({"skills": ["Deploy"], "hours": {"from": 0, "until": 24}})).await;
    assert_eq!((kept.status, &kept["data"]["skills"]), (200, &json!(["deploy"])), "{}", kept.body);
    assert_eq!(app.get(&routing("corp:zoe")).await.data(), &kept["data"]);
    for (body, field) in [(json!({"skills": [" "]}), "skills[0]"), (json!({"hours": {"from": 9, "until": 9}}), "hours")]
    {
        let refused = put("corp:zoe", body).await;
        assert_eq!((refused.status, refused.field()), (422, field), "{}", refused.body);
    }
    assert_eq!((put("corp:nobody", json!({})).await.status, app.get(&routing("corp:nobody")).await.status), (404, 404));
    let found = app.get(&format!("{INTERVENTIONS}/{id}/suggestions")).await;
    let order: Vec<&str> =
        found.data().as_array().expect("a list").iter().filter_map(|score| score["pilot_id"].as_str()).collect();
    assert_eq!(order, ["corp:zoe", "corp:ann"], "{}", found.body);
    assert_eq!(found.data()[0]["parts"][0]["reason"], "knows deploy of approval, deploy");
    // Where older clients look for it, too.
    assert_eq!(app.get(&format!("/api/interventions/{id}/suggestions")).await.data(), found.data());
    assert_eq!(app.get(&format!("{INTERVENTIONS}/none/suggestions")).await.status, 404);
}
