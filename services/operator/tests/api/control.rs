//! Windows, commands, status and upkeep.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Does, error};

const CONTROLLED: &[(&str, &str)] = &[("VX11_OPERATOR__OPERATOR_CONTROL", "true")];

async fn command(app: &App, command: &str, args: Value) -> Value {
    let answer = app.post("/operator/api/chat/commands", json!({ "command": command, "args": args })).await;
    answer.data().clone()
}

async fn open_window(app: &App) -> Answer {
    app.post("/operator/api/chat/window/open", json!({ "services": ["switch"], "reason": "test" })).await
}

#[tokio::test]
async fn windows_are_off_by_policy_unless_the_operator_is_in_control() {
    let app = App::start().await;
    let close = app.post("/operator/api/chat/window/close", json!({})).await;
    for refused in [open_window(&app).await, close] {
        assert_eq!((refused.status, refused.code()), (403, "off_by_policy"), "{}", refused.body);
        let error = &refused["error"];
        assert_eq!(error["service"], "operator");
        assert!(error["message"].is_string() && error["recommended_action"].is_string(), "{error}");
    }
    let commands = [
        ("open_window", json!({ "services": ["switch"] })),
        ("close_window", json!({})),
        ("spawn", json!({ "task": "x" })),
    ];
    for (name, args) in commands {
        let result = command(&app, name, args).await;
        assert_eq!((&result["result"], &result["command"]), (&json!("off_by_policy"), &json!(name)), "{result}");
    }
    assert!(app.madre.asked("/madre/power/window/open").is_empty() && app.madre.asked("/madre/chat").is_empty());
}

#[tokio::test]
async fn a_controlling_operator_opens_and_closes_windows_through_madre() {
    let app = App::with(CONTROLLED).await;
    let opened = json!({
        "window_id": "w", "created_at": "t", "deadline": "t", "services_started": ["switch"], "state": "open",
        "ttl_remaining_sec": 600,
    });
    app.madre.on("/madre/power/window/open", Does::Answer(200, opened.clone()));
    assert_eq!(open_window(&app).await.data(), &opened);
    assert_eq!(app.madre.asked("/madre/power/window/open")[0].body["ttl_sec"], 600);
    let closed = json!({ "window_id": "w", "closed_at": "t", "services_stopped": ["switch"], "state": "closed" });
    app.madre.on("/madre/power/window/close", Does::Answer(200, closed.clone()));
    assert_eq!(app.post("/operator/api/chat/window/close", json!({})).await.data(), &closed);
    let toggles = "SELECT count(*) FROM copilot_actions_log WHERE action_type = 'feature_toggle' AND target = 'switch'";
    eventually("both are in the trail", async || app.count(toggles) == 2).await;
}

#[tokio::test]
async fn what_madre_refuses_is_passed_on() {
    let app = App::with(CONTROLLED).await;
    for (status, code) in [(409, "conflict"), (422, "invalid_field"), (403, "off_by_policy")] {
        app.madre.on("/madre/power/window/open", Does::Answer(status, error(code)));
        let answer = open_window(&app).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
    }
    let mut whole = error("off_by_policy");
    whole["error"] = json!({
        "code": "off_by_policy", "field": "services[0]", "known": ["switch"], "service": "switch", "message": "it is off",
        "recommended_action": "wait",
    });
    whole["retry_after"] = json!(7);
    app.madre.on("/madre/power/window/open", Does::Answer(403, whole.clone()));
    let answer = open_window(&app).await;
    assert_eq!((&answer["error"], answer.header("retry-after")), (&whole["error"], "7"), "{}", answer.body);
    app.madre.on("/madre/power/window/open", Does::Answer(200, json!({ "state": "open" })));
    assert_eq!(open_window(&app).await.code(), "service_unavailable");
    let bad = app.post("/operator/api/chat/window/open", json!({ "services": "switch" })).await;
    assert_eq!((bad.status, bad.field()), (422, "services"));
    app.madre.die().await;
    assert_eq!(app.get("/operator/api/chat/window/status").await.code(), "service_unavailable");
}

#[tokio::test]
async fn an_unknown_command_lists_the_known_ones() {
    let app = App::start().await;
    for unknown in ["reboot", "", "Status", "status "] {
        let result = command(&app, unknown, json!({})).await;
        assert_eq!((&result["result"], &result["command"]), (&json!("error"), &json!(unknown)));
        assert_eq!(result["known"], json!(["status", "open_window", "close_window", "spawn", "message"]));
    }
    for (body, field) in [(json!({}), "command"), (json!({ "command": 1 }), "command")] {
        assert_eq!(app.post("/operator/api/chat/commands", body).await.field(), field);
    }
}

#[tokio::test]
async fn a_message_command_is_a_chat_with_its_limits() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "1")]).await;
    let args = json!({ "message": "hello", "session_id": "s" });
    let result = command(&app, "message", args.clone()).await;
    assert_eq!((&result["result"], &result["data"]["response"]), (&json!("ok"), &json!("from the switch")));
    assert_eq!(app.count("SELECT turns FROM sessions WHERE session_id = 's'"), 1);
    assert_eq!(app.count("SELECT count(*) FROM performance_logs WHERE endpoint = '/operator/api/chat'"), 1);
    for (args, code) in
        [(args, "rate_limited"), (json!({ "message": " " }), "invalid_field"), (json!({}), "invalid_field")]
    {
        let refused = command(&app, "message", args).await;
        assert_eq!((&refused["result"], &refused["data"]["code"]), (&json!("error"), &json!(code)));
        assert!(refused["message"].is_string());
    }
    // The three that were refused are no chats. Rows are written in order: a row too many would be there by now.
    let of_commands = "SELECT count(*) FROM performance_logs WHERE endpoint = '/operator/api/chat/commands'";
    eventually("their rows are written", async || app.count(of_commands) == 3).await;
    assert_eq!(app.count("SELECT count(*) FROM performance_logs"), 4);
}

#[tokio::test]
async fn a_task_is_handed_to_madre_and_her_refusal_is_passed_on() {
    let app = App::with(CONTROLLED).await;
    let result = command(&app, "spawn", json!({ "task": "clean up", "where": "here" })).await;
    assert_eq!((&result["result"], &result["data"]["response"]), (&json!("ok"), &json!("from madre")));
    let asked = &app.madre.asked("/madre/chat")[0].body;
    assert_eq!((&asked["message"], &asked["context"]), (&json!("clean up"), &json!({ "where": "here" })));
    let missing = command(&app, "spawn", json!({ "task": 7 })).await;
    assert_eq!((&missing["result"], &missing["data"]["code"]), (&json!("error"), &json!("invalid_field")));
    for (does, code) in [
        (Does::Answer(422, error("invalid_field")), "invalid_field"),
        (Does::Answer(500, Value::Null), "service_unavailable"),
    ] {
        app.madre.on("/madre/chat", does);
        assert_eq!(command(&app, "spawn", json!({ "task": "x" })).await["data"]["code"], code);
    }
}

#[tokio::test]
async fn the_status_shows_every_service_and_feature() {
    let app = App::start().await;
    let power = json!({ "mode": "solo_madre", "driver": "dry_run", "window": null, "services": [] });
    app.madre.on("/madre/power/state", Does::Answer(200, power.clone()));
    let policy = json!({ "policy": "solo_madre", "active": true, "mode": "solo_madre" });
    app.madre.on("/madre/power/policy/solo_madre/status", Does::Answer(200, policy));
    assert_eq!(app.get("/operator/api/chat/window/status").await.data(), &power);
    let status = app.get("/operator/api/status").await.data().clone();
    assert_eq!(status["system_state"], json!({ "operational_mode": "solo_madre", "policy_active": true }));
    let services = status["services"].as_array().expect("a list");
    let of = |name: &str| services.iter().find(|row| row["name"] == name).expect("listed");
    for up in ["operator", "switch", "madre"] {
        assert_eq!(of(up)["status"], "up", "{up}");
        assert!(of(up)["health_check_ms"].is_u64() && of(up)["port"].is_u64() && of(up)["role"].is_string());
    }
    assert_eq!((&of("tentaculo")["status"], &of("tentaculo")["health_check_ms"]), (&json!("down"), &Value::Null));
    for (feature, level) in [("chat", "on"), ("storage", "on"), ("operator_control", "off"), ("answer_cache", "on")] {
        assert_eq!(status["features"][feature]["status"], level, "{feature}");
        assert!(status["features"][feature]["reason"].is_string());
    }
    let db = &status["db_health"];
    assert_eq!((&db["integrity"], &db["last_backup"]), (&json!("ok"), &Value::Null));
    assert!(db["size_mb"].as_f64().is_some_and(|size| size > 0.0) && db["rows_total"].is_u64());
}

#[tokio::test]
async fn the_status_says_what_does_not_work() {
    let app = App::start().await;
    app.switch.on("/health", Does::Answer(503, Value::Null));
    let status = command(&app, "status", json!({})).await["data"].clone();
    assert_eq!(status["features"]["chat"]["status"], "degraded", "{status}");
    app.madre.die().await;
    let status = app.get("/operator/api/status").await.data().clone();
    assert_eq!(
        (&status["features"]["chat"]["status"], &status["features"]["madre_fallback"]["status"]),
        (&json!("error"), &json!("error"))
    );
    assert_eq!(status["system_state"], json!({ "operational_mode": null, "policy_active": null }));
}

#[tokio::test]
async fn upkeep_reports_and_refuses_to_keep_nothing() {
    let app = App::start().await;
    app.say("hello").await;
    let report = app.post("/operator/api/maintenance", json!({})).await;
    assert_eq!(report.status, 200, "{}", report.body);
    let backed_up = app.get("/operator/api/status").await.data()["db_health"]["last_backup"].clone();
    assert!(backed_up.is_string(), "{backed_up}");
    let nothing = app.post("/operator/api/maintenance", json!({ "log_days": 0 })).await;
    assert_eq!((nothing.status, nothing.field()), (422, "log_days"));
}
