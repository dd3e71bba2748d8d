//! Sessions and the audit trail.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::app::App;
use crate::fake::Does;

/// The texts of `field` in a list.
fn texts<'v>(list: &'v Value, field: &str) -> Vec<&'v str> {
    list.as_array().expect("a list").iter().filter_map(|row| row[field].as_str()).collect()
}

#[tokio::test]
async fn sessions_come_in_pages_the_latest_first_without_a_gap_or_a_repeat() {
    let app = App::start().await;
    assert_eq!(app.get("/operator/api/sessions").await.data(), &json!({ "items": [], "next": null }));
    for id in ["a", "b,c", "d", "e", "f"] {
        app.chat(json!({ "message": "hello", "session_id": id })).await;
    }
    // The first one is active again.
    app.chat(json!({ "message": "again", "session_id": "a" })).await;
    let (mut seen, mut times, mut before) = (BTreeSet::new(), Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/operator/api/sessions?limit=2{before}")).await;
        let items = &page.data()["items"];
        seen.extend(texts(items, "session_id").into_iter().map(str::to_owned));
        times.extend(texts(items, "last_activity_at").into_iter().map(str::to_owned));
        let Some(next) = page.data()["next"].as_str() else { break };
        before = format!("&before={next}");
    }
    assert_eq!((seen.len(), times.len()), (5, 5), "{seen:?}");
    assert!(times.is_sorted_by(|earlier, later| earlier >= later), "{times:?}");
    assert_eq!(times[0], app.get("/operator/api/sessions/a").await.data()["last_activity_at"], "it was active again");
}

#[tokio::test]
async fn a_session_shows_its_turns_in_pages_the_oldest_first() {
    let app = App::start().await;
    for n in 0..5 {
        app.chat(json!({ "message": format!("m{n}"), "session_id": "s" })).await;
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/operator/api/sessions/s?limit=2{after}")).await;
        assert_eq!(page.data()["turns"], 5);
        seen.extend(texts(&page.data()["history"], "message").into_iter().map(str::to_owned));
        let Some(next) = page.data()["next_after"].as_i64() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, ["m0", "m1", "m2", "m3", "m4"]);
    let beyond = app.get("/operator/api/sessions/s?after=9223372036854775807").await;
    assert_eq!(beyond.data()["history"], json!([]));
    assert_eq!(texts(&app.get("/operator/api/sessions/s?after=-9").await.data()["history"], "message").len(), 5);
}

#[tokio::test]
async fn a_session_that_is_not_there_is_not_found_whatever_its_name() {
    let app = App::start().await;
    for id in ["nobody", "%00", "%FF%FE", "%2e%2e%2f", "a%20b", "%27%20OR%201=1", &"x".repeat(4000)] {
        let answer = app.get(&format!("/operator/api/sessions/{id}")).await;
        assert_eq!((answer.status, answer.code()), (404, "not_found"), "{id}: {}", answer.body);
    }
}

#[tokio::test]
async fn the_trail_of_a_request_holds_what_every_service_did_in_order() {
    let app = App::start().await;
    let early = json!({
        "id": 1, "timestamp": "2020-01-01T00:00:00.000Z", "source": "madre", "session_id": null, "correlation_id": "c/1",
        "action": "plan", "action_type": "plan", "target": null, "status": "ok", "mode": "normal", "notes": null,
    });
    app.madre.on("/madre/audit/c%2F1", Does::Answer(200, json!({ "actions": [early] })));
    app.chat(json!({ "message": "hello", "correlation_id": "c/1", "session_id": "s" })).await;
    let answer = app.get("/operator/api/audit/c%2F1").await;
    let trail = answer.data();
    assert_eq!(texts(&trail["actions"], "source"), ["madre", "operator"]);
    assert_eq!(texts(&trail["turns"], "message"), ["hello"]);
    assert_eq!(trail["incomplete"], json!({}));
    let notes: Value = serde_json::from_str(trail["actions"][1]["notes"].as_str().expect("notes")).expect("JSON");
    assert_eq!((&notes["model"], &notes["attempts"][0]["provider"]), (&json!("model-1"), &json!("mock")));
}

#[tokio::test]
async fn a_request_that_left_no_trail_is_not_found_unless_madre_cannot_say() {
    let app = App::start().await;
    app.madre.on("/madre/audit/nobody", Does::Answer(200, json!({ "actions": [] })));
    assert_eq!(app.get("/operator/api/audit/nobody").await.code(), "not_found");
    app.madre.die().await;
    let answer = app.get("/operator/api/audit/nobody").await;
    assert!(answer.data()["incomplete"]["madre"].is_string(), "{}", answer.body);
}

#[tokio::test]
async fn the_trail_can_be_searched_and_paged() {
    let app = App::start().await;
    for n in 0..5 {
        app.chat(json!({ "message": "hello", "session_id": format!("s{n}"), "correlation_id": format!("c{n}") })).await;
    }
    let ids = async |query: &str| {
        let page = app.get(&format!("/operator/api/audit?action=chat&{query}")).await;
        texts(&page.data()["items"], "correlation_id").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(ids("").await, ["c4", "c3", "c2", "c1", "c0"]);
    assert_eq!(ids("session_id=s2").await, ["c2"]);
    assert_eq!(ids("correlation_id=c3&status=ok").await, ["c3"]);
    assert_eq!(ids("status=error").await.len() + ids("action_type=replay").await.len(), 0);
    assert_eq!(ids("until=2020-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(ids("since=2020-01-01T01:00:00%2B01:00").await.len(), 5);
    let first = app.get("/operator/api/audit?action=chat&limit=2").await;
    let next = first.data()["next"].as_str().expect("more");
    assert_eq!(ids(&format!("limit=2&before={next}")).await, ["c2", "c1"]);
    assert_eq!(ids("before=-1").await.len(), 0);
}

#[tokio::test]
async fn what_came_of_a_plan_is_told_once_and_is_no_question_to_replay() {
    let app = App::start().await;
    let asked = app.chat(json!({ "message": "restart it", "session_id": "s", "correlation_id": "c" })).await;
    let told = json!({
        "session_id": "s", "correlation_id": "c", "message": "plan:p was approved by ana.", "response": "done.",
        "status": "DONE",
    });
    for _ in 0..3 {
        let answer = app.post("/operator/api/turns", told.clone()).await;
        assert!([200, 503].contains(&answer.status), "{}", answer.body);
        app.written().await;
    }
    let session = app.get("/operator/api/sessions/s").await;
    assert_eq!(texts(&session.data()["history"], "response"), [asked["response"].as_str().expect("a text"), "done."]);
    assert_eq!(session.data()["turns"], 2);
    assert_eq!(app.count("SELECT count(*) FROM copilot_actions_log WHERE action = 'plan_outcome'"), 1);
    let replayed = app.post("/operator/api/replay/c", json!({})).await;
    assert_eq!(replayed.status, 200, "{}", replayed.body);
    assert_eq!(app.switch.asked("/switch/chat").last().expect("asked").body["messages"][0]["content"], "restart it");

    for (field, value) in [("session_id", "a b"), ("correlation_id", ""), ("message", " "), ("status", "done")] {
        let mut wrong = told.clone();
        wrong[field] = json!(value);
        let refused = app.post("/operator/api/turns", wrong).await;
        assert_eq!((refused.status, refused.field()), (422, field), "{}", refused.body);
    }
}
