//! Windows, the policy, and single services.

use diesel::connection::SimpleConnection;
use insta::assert_json_snapshot;
use serde_json::{Value, json};

use crate::fixture::{Answer, Home, Madre, eventually};

const OPEN: &str = "/madre/power/window/open";
const CLOSE: &str = "/madre/power/window/close";

async fn apply(madre: &Madre, action: &str, service: &str) -> Answer {
    let token = madre.get("/madre/power/token").await["power_token"].clone();
    let body = json!({ "apply": true, "power_token": token, "confirmation": format!("{action} {service}") });
    madre.post(&format!("/madre/power/service/{service}/{action}"), body).await
}

async fn state(madre: &Madre) -> Value {
    madre.get("/madre/power/state").await.json()
}

#[tokio::test]
async fn a_window_starts_what_does_not_run_and_stops_only_that() {
    let home = Home::new();
    home.driver.set("switch", false);
    let madre = home.start().await;

    let body = json!({ "services": ["switch", "operator", "switch"], "ttl_sec": 300, "reason": "a demo" });
    let opened = madre.post(OPEN, body).await;
    assert_eq!(opened.status, 200);
    assert_json_snapshot!("opened", opened.json(), {
        ".window_id" => "[id]", ".created_at" => "[time]", ".deadline" => "[time]"
    });
    assert_json_snapshot!("state_in_a_window", state(&madre).await, {
        ".window.window_id" => "[id]", ".window.created_at" => "[time]", ".window.deadline" => "[time]",
        ".window.ttl_remaining_sec" => "[seconds]"
    });
    eventually("the gauge", async || madre.metric("vx11_madre_power_windows_open").await == 1.0).await;

    let second = madre.post(OPEN, json!({ "services": ["switch"] })).await;
    assert_eq!((second.status, second.code()), (409, "conflict"));

    let closed = madre.post(CLOSE, json!({})).await;
    assert_json_snapshot!("closed", closed.json(), { ".window_id" => "[id]", ".closed_at" => "[time]" });
    assert_eq!(home.driver.take_calls(), ["start switch", "stop switch"]);
    assert!(home.driver.runs("operator"));

    let none = madre.post(CLOSE, json!({})).await;
    assert_eq!((none.status, none.code()), (404, "not_found"));
    assert_eq!(state(&madre).await["mode"], "solo_madre");
}

#[tokio::test]
async fn a_window_for_what_is_not_there_names_what_is() {
    let madre = Home::new().start().await;
    for service in ["madre", "tentaculo", "nonsense"] {
        let refused = madre.post(OPEN, json!({ "services": [service] })).await;
        assert_eq!((refused.status, refused.code()), (422, "invalid_field"), "{service}");
        assert_eq!(refused["error"]["known"], json!(["operator", "switch", "mock-provider"]));
        assert_eq!(refused["error"]["field"], "services");
    }
    for body in [
        json!({ "services": [] }),
        json!({}),
        json!({ "services": ["switch"], "ttl_sec": 0 }),
        json!({ "services": ["switch"], "ttl_sec": 3601 }),
        json!({ "services": ["switch"], "ttl_sec": -1 }),
        json!({ "services": ["switch"], "mode": "forever" }),
        json!({ "services": ["switch"], "ttl": 5 }),
    ] {
        assert_eq!(madre.post(OPEN, body.clone()).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn a_window_closes_by_itself_and_one_on_hold_does_not() {
    let home = Home::new();
    home.driver.set("switch", false);
    let madre = home.start().await;
    let opened = madre.post(OPEN, json!({ "services": ["switch"], "ttl_sec": 1 })).await;
    assert_eq!(opened.status, 200);
    eventually("the window has closed", async || state(&madre).await["window"].is_null()).await;
    assert!(!home.driver.runs("switch"));

    let held = madre.post(OPEN, json!({ "services": ["switch"], "ttl_sec": 1, "mode": "hold" })).await;
    assert_eq!((&held["deadline"], &held["ttl_remaining_sec"]), (&Value::Null, &Value::Null));
    assert_eq!(state(&madre).await["mode"], "windowed");
}

#[tokio::test]
async fn a_window_that_expires_while_madre_is_down_is_closed_at_its_start() {
    let home = Home::new();
    home.driver.set("switch", false);
    let madre = home.start().await;
    let opened = madre.post(OPEN, json!({ "services": ["switch"], "ttl_sec": 3600 })).await;
    assert_eq!(opened.status, 200);
    madre.stop().await;
    assert!(home.driver.runs("switch"));
    assert_eq!(home.driver.take_calls(), ["start switch"]);
    let past = "UPDATE power_windows SET deadline = '2020-01-01T00:00:00.000Z'";
    home.stranger().batch_execute(past).expect("updated");

    let madre = home.start().await;
    eventually("the window has closed", async || state(&madre).await["window"].is_null()).await;
    assert_eq!(home.driver.take_calls(), ["stop switch"]);
}

#[tokio::test]
async fn a_window_that_is_still_open_after_a_restart_gets_its_services_back() {
    let home = Home::new();
    home.driver.set("switch", false);
    let madre = home.start().await;
    madre.post(OPEN, json!({ "services": ["switch"], "ttl_sec": 3600 })).await;
    madre.stop().await;
    home.driver.set("switch", false);

    let madre = home.start().await;
    eventually("the switch runs", async || home.driver.runs("switch")).await;
    let closed = madre.post(CLOSE, json!({})).await;
    assert_eq!(closed["services_stopped"], json!(["switch"]));
}

#[tokio::test]
async fn a_window_that_cannot_start_its_services_does_not_open() {
    let home = Home::new();
    home.driver.set("switch", false);
    home.driver.set("mock-provider", false);
    home.driver.break_service("mock-provider");
    let madre = home.start().await;
    let failed = madre.post(OPEN, json!({ "services": ["switch", "mock-provider"] })).await;
    assert_eq!((failed.status, failed.code()), (503, "service_unavailable"));
    assert!(state(&madre).await["window"].is_null());
    assert!(!home.driver.runs("switch"), "what was started is stopped again");
}

#[tokio::test]
async fn of_twenty_racing_windows_one_opens() {
    let home = Home::new();
    let madre = std::sync::Arc::new(home.start().await);
    let race = (0..20).map(|_| {
        let madre = madre.clone();
        tokio::spawn(async move { madre.post(OPEN, json!({ "services": ["switch"] })).await.status })
    });
    let mut opened = 0;
    for racer in race.collect::<Vec<_>>() {
        let status = racer.await.expect("an answer");
        assert!([200, 409, 503].contains(&status), "{status}");
        opened += usize::from(status == 200);
    }
    assert_eq!(opened, 1);
}

#[tokio::test]
async fn the_policy_stops_what_last_resort_does_not_need_and_keeps_it_off() {
    let home = Home::new();
    let madre = home.start().await;
    let policy = "/madre/power/policy/solo_madre";
    assert_eq!(madre.get(&format!("{policy}/status")).await["active"], false);

    let applied = madre.post(&format!("{policy}/apply"), json!({})).await;
    assert_json_snapshot!("policy_applied", applied.json());
    assert_eq!(home.driver.take_calls(), ["stop switch", "stop mock-provider"]);
    for service in ["madre", "tentaculo", "operator"] {
        assert!(home.driver.runs(service), "{service}");
    }
    let refused = apply(&madre, "start", "switch").await;
    assert_json_snapshot!("kept_off", refused["error"]);
    assert_eq!(refused.status, 403);

    madre.post(OPEN, json!({ "services": ["switch"] })).await;
    assert!(home.driver.runs("switch"), "a window lifts the policy");
    assert_eq!(madre.get(&format!("{policy}/status")).await["active"], false);
    madre.stop().await;

    home.driver.set("mock-provider", true);
    let madre = home.start().await;
    eventually("the policy holds after a restart", async || !home.driver.runs("mock-provider")).await;
    assert!(home.driver.runs("switch"), "and so does the window");
    madre.post(&format!("{policy}/apply"), json!({})).await;
    assert!(!home.driver.runs("switch"), "applying it closes the window");

    assert_eq!(madre.post(&format!("{policy}/release"), json!({})).await["active"], false);
    assert_eq!(apply(&madre, "start", "switch").await.status, 200);
}

#[tokio::test]
async fn an_action_is_planned_first_and_applied_with_token_and_phrase() {
    let home = Home::new();
    let madre = home.start().await;
    let path = "/madre/power/service/switch/restart";
    let planned = madre.post(path, json!({})).await;
    assert_json_snapshot!("planned", planned.json());

    let token = madre.get("/madre/power/token").await.json();
    assert_eq!(token["ttl_sec"], 60);
    let token = token["power_token"].clone();
    for body in [
        json!({ "apply": true }),
        json!({ "apply": true, "power_token": token }),
        json!({ "apply": true, "power_token": "made up", "confirmation": "restart switch" }),
        json!({ "apply": true, "power_token": token, "confirmation": "yes" }),
    ] {
        let refused = madre.post(path, body.clone()).await;
        assert_eq!((refused.status, refused.code()), (403, "invalid_confirmation"), "{body}");
    }
    assert!(home.driver.take_calls().is_empty());

    let body = json!({ "apply": true, "power_token": token, "confirmation": "restart switch" });
    let applied = madre.post(path, body).await;
    assert_json_snapshot!("applied", applied.json());
    assert_eq!(home.driver.take_calls(), ["stop switch", "start switch"]);

    let seventh = madre.post(path, json!({})).await;
    assert_eq!((seventh.status, seventh.code()), (429, "rate_limited"));
    assert!(seventh["retry_after"].as_u64() > Some(0));
    assert_eq!(
        madre.post("/madre/power/service/switch/stop", json!({})).await.status,
        200,
        "another action has its own limit"
    );
}

#[tokio::test]
async fn a_power_token_works_once() {
    let home = Home::new();
    let madre = home.start().await;
    let token = madre.get("/madre/power/token").await["power_token"].clone();
    let body = json!({ "apply": true, "power_token": token, "confirmation": "stop switch" });
    assert_eq!(madre.post("/madre/power/service/switch/stop", body.clone()).await.status, 200);
    let again = madre.post("/madre/power/service/switch/stop", body).await;
    assert_eq!((again.status, again.code()), (403, "invalid_confirmation"));
}

#[tokio::test]
async fn what_power_must_not_do_is_refused_with_advice() {
    let madre = Home::new().start().await;
    let refused = madre.post("/madre/power/service/madre/stop", json!({})).await;
    assert_eq!(refused.status, 403);
    assert_json_snapshot!("protected", refused["error"]);
    assert_eq!(madre.post("/madre/power/service/tentaculo/restart", json!({})).await.code(), "off_by_policy");

    let unknown = madre.post("/madre/power/service/nonsense/stop", json!({})).await;
    assert_eq!((unknown.status, unknown.code()), (404, "not_found"));
    assert!(unknown["error"]["known"].as_array().is_some_and(|known| known.contains(&json!("switch"))));
    assert_eq!(madre.post("/madre/power/service/switch/explode", json!({})).await.status, 404);
}

#[tokio::test]
async fn what_a_window_did_is_in_the_trail_of_its_request() {
    let home = Home::new();
    home.driver.set("switch", false);
    let madre = home.start().await;
    let opened = madre.post(OPEN, json!({ "services": ["switch"], "reason": "demo" })).await;
    madre.written().await;
    let trail = madre.get(&format!("/madre/audit/{}", opened.header("x-correlation-id"))).await.json();
    let actions: Vec<&str> =
        trail["actions"].as_array().expect("a list").iter().filter_map(|row| row["action"].as_str()).collect();
    assert_eq!(actions, ["power_start", "power_window_open"]);
}
