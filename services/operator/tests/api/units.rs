//! Units of work as agents and pilots meet them, over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};

const UNITS: &str = "/operator/api/units";
const PILOT: &str = "/operator/api/pilot";

/// A unit that parks what goes to `deploy` and refuses what costs more than 100.
fn shipping() -> Value {
    json!({
        "instance_id": "i-1",
        "title": "Ship it",
        "rules": [
            {
                "rule_id": "look",
                "guardian": {"type": "DIRECTIONAL_FILTER", "deny": [{"from": "*", "to": "deploy"}]},
                "otherwise": "park",
            },
            {
                "rule_id": "budget",
                "guardian": {"type": "CRITERIA_GATE", "criteria": [{"field": "cost", "op": "lte", "value": 100}]},
            },
        ],
        "data": {"cost": 1},
    })
}

async fn registered(app: &App) -> String {
    let made = app.post(UNITS, shipping()).await;
    assert_eq!((made.status, &made["data"]["status"]), (201, &json!("PENDING")), "{}", made.body);
    let id = made["data"]["uow_id"].as_str().expect("an id").to_owned();
    assert_eq!(made.header("location"), format!("{UNITS}/{id}"));
    id
}

async fn report(app: &App, id: &str, body: Value) -> Answer {
    app.post(&format!("{UNITS}/{id}/transitions"), body).await
}

#[tokio::test]
async fn an_agent_is_parked_resumed_and_goes_on_once() {
    let app = App::start().await;
    let id = registered(&app).await;
    assert_eq!(report(&app, &id, json!({"step": "build"})).await["data"]["unit"]["status"], "ACTIVE");
    let parked = report(&app, &id, json!({"step": "deploy"})).await;
    assert_eq!((parked.status, &parked["data"]["verdict"]["outcome"]), (202, &json!("parked")));
    assert_eq!(parked["data"]["verdict"]["guardian_type"], "DIRECTIONAL_FILTER");
    let request = parked.header("location").to_owned();
    let waiting = app.get(&request).await;
    assert_eq!((&waiting["data"]["status"], &waiting["data"]["uow_id"]), (&json!("PENDING"), &json!(id)));
    let wait_path = format!("{request}/wait?timeout_seconds=30");
    let resume = format!("{PILOT}/resume/{id}");
    let (waited, resumed) = tokio::join!(app.get(&wait_path), app.post(&resume, json!({"reason": "looks fine"})));
    assert_eq!((resumed.status, &resumed["data"]["status"]), (200, &json!("ACTIVE")), "{}", resumed.body);
    assert_eq!(
        (&waited["data"]["status"], &waited["data"]["decision"]["kind"]),
        (&json!("COMPLETED"), &json!("approve"))
    );
    let again = app.post(&resume, json!({})).await;
    assert_eq!((again.status, &again["error"]["unit"]["status"]), (409, &json!("ACTIVE")));
    assert_eq!(report(&app, &id, json!({"step": "deploy"})).await.status, 200);
    assert_eq!(report(&app, &id, json!({"step": "deploy"})).await.status, 202);
    assert_eq!(app.post(&format!("{PILOT}/resume/{id}"), json!({})).await.status, 200);
    assert_eq!(report(&app, &id, json!({"status": "COMPLETED"})).await["data"]["unit"]["status"], "COMPLETED");
    let detail = app.get(&format!("{UNITS}/{id}")).await;
    let actions: Vec<_> =
        detail["data"]["history"].as_array().expect("a list").iter().rev().map(|e| e["action"].clone()).collect();
    let told = ["registered", "transition", "parked", "resume", "transition", "parked", "resume", "transition"];
    assert_eq!(actions, told.map(|action| json!(action)));
}

#[tokio::test]
async fn what_a_rule_refuses_stops_the_unit_until_it_is_waived() {
    let app = App::start().await;
    let id = registered(&app).await;
    let dear = || report(&app, &id, json!({"step": "buy", "data": {"cost": 500}}));
    let denied = dear().await;
    assert_eq!((denied.status, denied.code()), (409, "conflict"), "{}", denied.body);
    assert_eq!(denied["error"]["unit"]["status"], "PAUSED");
    assert_eq!(denied["error"]["unit"]["blocked"]["rule_id"], "budget");
    assert_eq!(dear().await.status, 409, "it is stopped");
    let waive = |rule: &str| format!("{PILOT}/waive/{id}/{rule}");
    assert_eq!(app.post(&waive("budget"), json!({})).await.field(), "reason");
    assert_eq!(app.post(&waive("budget"), json!({"reason": " "})).await.field(), "reason");
    assert_eq!(app.post(&waive("other"), json!({"reason": "why not"})).await.status, 409);
    assert_eq!(app.post(&waive("budget"), json!({"reason": "signed off"})).await["data"]["status"], "ACTIVE");
    let passed = dear().await;
    assert_eq!((passed.status, &passed["data"]["unit"]["data"]["cost"]), (200, &json!(500)));
    // It counts again, and for the data that are there now.
    assert_eq!(report(&app, &id, json!({"step": "buy"})).await.status, 409);
    app.written().await;
    let rows = |condition: &str| app.count(&format!("SELECT count(*) FROM copilot_actions_log WHERE {condition}"));
    let of_unit = format!("target = '{id}' AND action = 'unit_waive' AND");
    assert_eq!(rows(&format!("{of_unit} status = 'ok'")), 1);
    assert_eq!(rows(&format!("{of_unit} status = 'invalid_field'")), 1, "tried with a blank reason");
    assert_eq!(rows(&format!("{of_unit} status = 'conflict'")), 1);
}

#[tokio::test]
async fn an_organisations_guards_decide_and_a_breach_is_the_end() {
    let app = App::start().await;
    let forbidden = json!([{"field": "command", "op": "contains", "value": "rm -rf"}]);
    let rule = json!({"guardian": {"type": "CERBERUS", "forbidden": forbidden}});
    let kept = app.request(Method::PUT, "/operator/api/guard-rules/dog").json(&rule);
    assert_eq!(Answer::of(kept).await["data"]["rule"]["rule_id"], "dog");
    assert_eq!(app.get("/operator/api/guard-rules").await["data"].as_array().map(Vec::len), Some(1));
    let id = registered(&app).await;
    let breach = report(&app, &id, json!({"step": "run", "data": {"command": "rm -rf /"}})).await;
    assert_eq!((breach.status, &breach["error"]["unit"]["status"]), (409, &json!("FAILED_SECURITY_BREACH")));
    for (what, body) in [("resume", json!({})), ("cancel", json!({"reason": "r"})), ("waive", json!({"reason": "r"}))] {
        let rest = if what == "waive" { "/dog" } else { "" };
        assert_eq!(app.post(&format!("{PILOT}/{what}/{id}{rest}"), body).await.status, 409, "{what}");
    }
    let beat = app.post(&format!("{UNITS}/{id}/heartbeat"), json!({})).await;
    assert_eq!((beat.status, &beat["error"]["unit"]["blocked"]["rule_id"]), (409, &json!("dog")));
    let remove = || Answer::of(app.request(Method::DELETE, "/operator/api/guard-rules/dog"));
    assert_eq!((remove().await.status, remove().await.status), (200, 404));
}

#[tokio::test]
async fn a_kill_switch_pauses_what_works_and_everybody_hears_of_it() {
    let app = App::start().await;
    let id = registered(&app).await;
    let waits = registered(&app).await;
    report(&app, &id, json!({"step": "build"})).await;
    let killed = app.post(&format!("{PILOT}/kill-switch"), json!({"instance_id": "i-1", "reason": "runaway"})).await;
    assert_eq!((killed.status, &killed["data"]["paused"]), (200, &json!(2)), "{}", killed.body);
    let beat = app.post(&format!("{UNITS}/{id}/heartbeat"), json!({})).await;
    assert_eq!(
        (beat.status, &beat["data"]["status"], &beat["data"]["reason"]),
        (200, &json!("PAUSED"), &json!("runaway"))
    );
    assert_eq!(report(&app, &waits, json!({"step": "build"})).await.status, 409, "it does not begin");
    let listed = app.get(&format!("{UNITS}?status=PAUSED&instance_id=i-1")).await;
    assert_eq!(listed["data"]["items"].as_array().map(Vec::len), Some(2));
    app.written().await;
    let events = app.get("/operator/api/events?follow=false").await;
    let told = events.body.lines().filter(|line| *line == "event: unit_status_changed").count();
    assert!(told >= 5, "{}", events.body);
    assert!(events.body.contains("\"action\":\"kill_switch\"") && !events.body.contains("runaway"), "{}", events.body);
    assert_eq!(app.metric("vx11_units_events_total{action=\"kill_switch\"}").await, 2.0);
}

#[tokio::test]
async fn a_silent_unit_becomes_a_zombie_and_is_told_what_it_waits_for() {
    let variables =
        [("VX11_OPERATOR__UNITS__HEARTBEAT_TIMEOUT", "1h"), ("VX11_OPERATOR__UNITS__SWEEP_INTERVAL", "10ms")];
    let app = App::with(&variables).await;
    let id = registered(&app).await;
    report(&app, &id, json!({"step": "ask"})).await;
    let early = app.post(&format!("{PILOT}/clarification/{id}"), json!({"text": "the blue one"})).await;
    assert_eq!((early.status, &early["error"]["unit"]["status"]), (409, &json!("ACTIVE")));
    // An hour ago.
    let control = app.data_dir().join("control.sqlite3");
    age(&control, &id);
    let status = async || app.get(&format!("{UNITS}/{id}")).await["data"]["status"].clone();
    eventually("it is swept", async || status().await == "ZOMBIED_SOFT").await;
    let told = app.post(&format!("{PILOT}/clarification/{id}"), json!({"text": "the blue one"})).await;
    assert_eq!(
        (&told["data"]["status"], &told["data"]["clarification"]["text"]),
        (&json!("ACTIVE"), &json!("the blue one"))
    );
    let beat = app.post(&format!("{UNITS}/{id}/heartbeat"), json!({})).await;
    assert_eq!(beat["data"]["clarification"]["text"], "the blue one");
}

/// Makes a unit one that was heard of long ago.
fn age(control: &std::path::Path, id: &str) {
    use diesel::connection::SimpleConnection;
    use diesel::prelude::*;
    let mut file = diesel::SqliteConnection::establish(control.to_str().expect("UTF-8")).expect("a connection");
    let past = "2020-01-01T00:00:00.000Z";
    let sql = format!("UPDATE units SET heartbeat_at = '{past}', clock_at = '{past}' WHERE uow_id = '{id}'");
    file.batch_execute(&format!("PRAGMA busy_timeout = 5000; {sql}")).expect("aged");
}

#[tokio::test]
async fn what_cannot_be_a_unit_or_a_transition_is_refused_by_field() {
    let app = App::start().await;
    let unit = |change: Value| {
        let mut body = shipping();
        body.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
        body
    };
    for (change, field) in [
        (json!({"title": ""}), "title"),
        (json!({"instance_id": "a b"}), "instance_id"),
        (json!({"uow_id": "a/b"}), "uow_id"),
        (json!({"data": {"large": "x".repeat(70_000)}}), "data"),
        (
            json!({"rules": [{"rule_id": "r", "guardian": {"type": "CRITERIA_GATE", "criteria": []}}]}),
            "rules[0].guardian.criteria",
        ),
        (json!({"rules": [{"rule_id": "kill_switch", "guardian": {"type": "PASS_THRU"}}]}), "rules[0].rule_id"),
        (json!({"rules": vec![json!({"rule_id": "r", "guardian": {"type": "PASS_THRU"}}); 2]}), "rules[1].rule_id"),
    ] {
        let refused = app.post(UNITS, unit(change.clone())).await;
        assert_eq!((refused.status, refused.field()), (422, field), "{change}: {}", refused.body);
    }
    let id = registered(&app).await;
    for (body, field) in [
        (json!({}), "step"),
        (json!({"status": "PAUSED"}), "status"),
        (json!({"status": "DONE"}), "status"),
        (json!({"step": "a b"}), "step"),
        (json!({"step": "a", "data": {"more": "x".repeat(70_000)}}), "data"),
    ] {
        let refused = report(&app, &id, body.clone()).await;
        assert_eq!((refused.status, refused.field()), (422, field), "{body}: {}", refused.body);
    }
    let early = report(&app, &id, json!({"status": "COMPLETED"})).await;
    assert_eq!((early.status, &early["error"]["unit"]["status"]), (409, &json!("PENDING")));
    for path in [format!("{UNITS}/nobody"), format!("{UNITS}/%00"), format!("{UNITS}/a%2Fb")] {
        assert_eq!(app.get(&path).await.status, 404, "{path}");
    }
    for query in ["limit=0", "limit=501", "cursor=nonsense", "status=DONE", "instance_id=a%20b", "colour=red"] {
        assert_eq!(app.get(&format!("{UNITS}?{query}")).await.status, 422, "{query}");
    }
    let taken = app.post(UNITS, unit(json!({"uow_id": id}))).await;
    assert_eq!((taken.status, taken.code()), (409, "conflict"));
}

#[tokio::test]
async fn nobody_meets_another_organisations_units() {
    let app = App::start().await;
    let id = registered(&app).await;
    report(&app, &id, json!({"step": "build"})).await;
    let globex = |method: Method, path: String| app.request(method, &path).header("x-vx11-org", "globex");
    assert_eq!(Answer::of(globex(Method::GET, format!("{UNITS}/{id}"))).await.status, 404);
    assert_eq!(Answer::of(globex(Method::GET, UNITS.to_owned())).await["data"]["items"], json!([]));
    for (path, body) in [
        (format!("{UNITS}/{id}/transitions"), json!({"step": "test"})),
        (format!("{UNITS}/{id}/heartbeat"), json!({})),
        (format!("{PILOT}/clarification/{id}"), json!({"text": "t"})),
        (format!("{PILOT}/waive/{id}/look"), json!({"reason": "r"})),
        (format!("{PILOT}/resume/{id}"), json!({})),
        (format!("{PILOT}/cancel/{id}"), json!({"reason": "r"})),
    ] {
        let foreign = Answer::of(globex(Method::POST, path.clone()).json(&body)).await;
        assert_eq!(foreign.status, 404, "{path}: {}", foreign.body);
    }
    let kill = json!({"instance_id": "i-1", "reason": "mine"});
    let kill = Answer::of(globex(Method::POST, format!("{PILOT}/kill-switch")).json(&kill)).await;
    assert_eq!(kill["data"]["paused"], 0);
    assert_eq!(app.get(&format!("{UNITS}/{id}")).await["data"]["status"], "ACTIVE");
}

#[tokio::test]
async fn an_agents_key_reports_and_a_pilots_decides() {
    let app = App::start().await;
    let key = async |role: &str, scope: &str| {
        let body = json!({"name": "a test's", "role": role, "scopes": [scope, "read"]});
        let made = app.post("/operator/api/keys", body).await;
        made["data"]["secret"].as_str().expect("a secret").to_owned()
    };
    let (agent, other, pilot) =
        (key("OPERATOR", "agent").await, key("OPERATOR", "agent").await, key("OPERATOR", "pilot").await);
    let post = async |key: &str, path: &str, body: Value| {
        Answer::of(app.anyone(Method::POST, path).bearer_auth(key).json(&body)).await
    };
    let made = post(&agent, UNITS, shipping()).await;
    let id = made["data"]["uow_id"].as_str().expect("an id").to_owned();
    let transitions = format!("{UNITS}/{id}/transitions");
    assert_eq!(post(&agent, &transitions, json!({"step": "deploy"})).await.status, 202);
    assert_eq!(post(&other, &transitions, json!({"step": "deploy"})).await.status, 403, "another agent's");
    assert_eq!(post(&other, &format!("{UNITS}/{id}/heartbeat"), json!({})).await.status, 403);
    let resume = format!("{PILOT}/resume/{id}");
    assert_eq!(post(&agent, &resume, json!({})).await.status, 403, "an agent does not resume itself");
    assert_eq!(post(&pilot, &transitions, json!({"step": "deploy"})).await.status, 403);
    let waive = format!("{PILOT}/waive/{id}/look");
    assert_eq!(post(&pilot, &waive, json!({"reason": "r"})).await.status, 403, "an ADMIN's");
    let resumed = post(&pilot, &resume, json!({})).await;
    assert_eq!((resumed.status, &resumed["data"]["passes"][0]["by"]), (200, &pilots_subject(&app, &pilot).await));
    assert_eq!(post(&agent, &transitions, json!({"step": "deploy"})).await.status, 200);
}

async fn pilots_subject(app: &App, key: &str) -> Value {
    let me = Answer::of(app.anyone(Method::GET, "/operator/api/whoami").bearer_auth(key)).await;
    me["data"]["subject"].clone()
}

#[tokio::test]
async fn what_pilots_do_is_in_the_audit_log_allowed_or_not() {
    let app = App::start().await;
    let id = registered(&app).await;
    report(&app, &id, json!({"step": "build", "data": {"cost": 500}})).await;
    let reason = || json!({"reason": "a secret of ours"});
    let rule = json!({"guardian": {"type": "PASS_THRU"}});
    assert_eq!(app.post(&format!("{PILOT}/waive/{id}/budget"), reason()).await.status, 200);
    assert_eq!(app.post(&format!("{PILOT}/resume/{id}"), reason()).await.status, 409);
    assert_eq!(app.post(&format!("{PILOT}/cancel/{id}"), reason()).await.status, 200);
    let killed = json!({"instance_id": "i-1", "reason": "runaway"});
    assert_eq!(app.post(&format!("{PILOT}/kill-switch"), killed).await.status, 200);
    let rules = "/operator/api/guard-rules/all";
    assert_eq!(Answer::of(app.request(Method::PUT, rules).json(&rule)).await.status, 200);
    for status in [200, 404] {
        assert_eq!(Answer::of(app.request(Method::DELETE, rules)).await.status, status);
    }
    let log = async || app.get("/operator/api/audit-log").await;
    let rows = |answer: &Answer| answer.data()["items"].as_array().expect("a list").clone();
    eventually("refusals are in the log", async || rows(&log().await).len() >= 7).await;
    let (logged, body) = (rows(&log().await), log().await.body);
    assert!(!body.contains("a secret of ours"), "{body}");
    let row = |action: &str, target: &str, outcome: &str| {
        let fits = |row: &&Value| row["action"] == action && row["target_id"] == target && row["outcome"] == outcome;
        let found: Vec<_> = logged.iter().filter(fits).collect();
        assert_eq!(found.len(), 1, "{action} {target} {outcome}: {logged:?}");
        found[0].clone()
    };
    assert_eq!(row("unit.waive", &id, "allowed")["details"]["rule"], "budget");
    assert_eq!(row("unit.resume", &id, "refused")["details"]["why"], "conflict");
    row("unit.cancel", &id, "allowed");
    assert_eq!(row("instance.kill_switch", "i-1", "allowed")["details"]["paused"], 0);
    row("guard_rule.keep", "all", "allowed");
    row("guard_rule.remove", "all", "allowed");
    row("guard_rule.remove", "all", "refused");
}
