//! A switch, or a madre, that does not answer as it should.

use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::{Beat, Does, error, reply};

/// Who answered, whether as a fallback, and why.
fn who(answer: &Answer) -> (u16, &str, bool, &str) {
    let text = |name: &str| answer[name].as_str().unwrap_or_default();
    (answer.status, text("provider"), answer["degraded"] == true, text("fallback_source"))
}

#[tokio::test]
async fn a_dead_switch_is_asked_once_and_then_madre_answers() {
    let app = App::start().await;
    assert_eq!(who(&app.say("hello").await), (200, "switch", false, ""));
    app.switch.die().await;
    let first = app.say("hello").await;
    assert_eq!((first.status, &first["provider"], &first["degraded"]), (200, &json!("madre"), &json!(true)));
    assert!(["connect", "transport"].contains(&who(&first).3), "{}", first.body);
    for _ in 0..3 {
        assert_eq!(who(&app.say("hello").await), (200, "madre", true, "switch_unhealthy"));
    }
    assert_eq!(app.get("/ready").await["dependencies"]["switch"]["status"], "down");
    let id = first.correlation_id();
    let degraded = format!("SELECT count(*) FROM performance_logs WHERE correlation_id = '{id}' AND degraded = 1");
    assert_eq!(app.count(&degraded), 1);
}

#[tokio::test]
async fn a_hanging_switch_is_waited_for_once() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__SWITCH_TIMEOUT", "2s")]).await;
    app.switch.on("/switch/chat", Does::Hang);
    assert_eq!(who(&app.say("hello").await), (200, "madre", true, "timeout"));
    let others: Vec<Answer> = futures_util::future::join_all((0..8).map(|_| app.say("hello"))).await;
    assert!(others.iter().all(|answer| who(answer) == (200, "madre", true, "switch_unhealthy")), "{others:?}");
    assert_eq!(app.switch.asked("/switch/chat").len(), 1);
    eventually("the call was given up", async || app.switch.hung_up() == 1).await;
}

#[tokio::test]
async fn a_switch_that_answers_wrongly_is_replaced_by_madre_for_that_chat() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__BREAKER__FAILURE_THRESHOLD", "100")]).await;
    let mut no_reply = reply("x");
    no_reply.as_object_mut().expect("an object").remove("reply");
    let mut not_ok = reply("x");
    not_ok["status"] = json!("error");
    let cases = [
        (Does::Answer(500, Value::Null), "http_500"),
        (Does::Answer(502, error("upstream_error")), "http_502"),
        (Does::Answer(503, error("service_unavailable")), "http_503"),
        (Does::Answer(504, error("deadline_exceeded")), "http_504"),
        (Does::Answer(302, Value::Null), "http_302"),
        (Does::Answer(200, no_reply), "invalid_answer"),
        (Does::Answer(200, not_ok), "invalid_answer"),
        (Does::Answer(200, json!([1, 2])), "invalid_answer"),
        (Does::Stream(vec![Beat::Raw("<html>".to_owned())]), "invalid_answer"),
        (Does::Stream(vec![Beat::Raw("x".repeat(9 * 1024 * 1024))]), "invalid_answer"),
    ];
    for (does, why) in cases {
        app.switch.on("/switch/chat", does);
        assert_eq!(who(&app.say("hello").await), (200, "madre", true, why));
    }
    app.switch.on("/switch/chat", Does::Say("well again"));
    assert_eq!(who(&app.say("hello").await), (200, "switch", false, ""), "it answered, so it stayed healthy");
}

#[tokio::test]
async fn a_degraded_answer_is_not_repeated_from_memory() {
    let app = App::start().await;
    let hello = json!({ "message": "hello", "session_id": "s" });
    app.switch.on("/switch/chat", Does::Answer(500, Value::Null));
    assert_eq!(who(&app.chat(hello.clone()).await), (200, "madre", true, "http_500"));
    app.switch.on("/switch/chat", Does::Say("well again"));
    assert_eq!(who(&app.chat(hello).await), (200, "switch", false, ""));
}

#[tokio::test]
async fn a_plan_that_waits_is_not_made_twice() {
    let app = App::start().await;
    let waiting = json!({
        "response": "confirm?", "model": "madre-1", "provider": "madre", "status": "WAITING", "plan_id": "p-1",
        "confirm_token": "t-1", "warnings": [], "actions": ["stop the switch"],
    });
    app.madre.on("/madre/chat", Does::Answer(200, waiting));
    app.switch.on("/switch/chat", Does::Answer(500, Value::Null));
    let stop = json!({ "message": "stop the switch", "session_id": "s" });
    let first = app.chat(stop.clone()).await;
    assert_eq!((&first["status"], &first["plan_id"]), (&json!("WAITING"), &json!("p-1")));
    let second = app.chat(stop).await;
    assert_eq!((&second["cache_hit"], &second["confirm_token"]), (&json!(true), &json!("t-1")));
    assert_eq!(app.madre.asked("/madre/chat").len(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_exist_is_the_callers_to_mend() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Answer(404, error("unknown_provider")));
    let answer = app.chat(json!({ "message": "hello", "provider": "nobody" })).await;
    assert_eq!((answer.status, answer.code()), (404, "unknown_provider"));
    assert_eq!(answer["error"]["known"], json!(["mock"]));
    assert_eq!(app.switch.asked("/switch/chat")[0].body["provider"], "nobody");
    assert!(app.madre.asked("/madre/chat").is_empty());
}

#[tokio::test]
async fn when_madre_fails_too_the_caller_is_told_and_the_trail_keeps_it() {
    let app = App::with(&[
        ("VX11_OPERATOR__CHAT__MADRE_TIMEOUT", "200ms"),
        ("VX11_OPERATOR__CHAT__BREAKER__FAILURE_THRESHOLD", "100"),
    ])
    .await;
    app.switch.on("/switch/chat", Does::Answer(500, Value::Null));
    for does in [Does::Answer(500, Value::Null), Does::Answer(200, json!({ "response": 7 })), Does::Hang] {
        app.madre.on("/madre/chat", does);
        let answer = app.chat(json!({ "message": "hello", "session_id": "s" })).await;
        assert_eq!((answer.status, answer.code()), (503, "service_unavailable"), "{}", answer.body);
        assert!(!answer.body.contains("http_500"), "the cause is for the log: {}", answer.body);
        app.written().await;
        let id = answer.correlation_id();
        let of = |table: &str| app.count(&format!("SELECT count(*) FROM {table} WHERE correlation_id = '{id}'"));
        assert_eq!([of("turns"), of("copilot_actions_log"), of("performance_logs")], [0, 1, 1]);
    }
    assert_eq!(app.count("SELECT count(*) FROM performance_logs WHERE error_type = 'service_unavailable'"), 3);
    assert_eq!(app.get("/operator/api/sessions/s").await.status, 404, "nothing was said");
}

#[tokio::test]
async fn five_failures_open_the_circuit_and_the_breakers_show_it() {
    let app = App::start().await;
    let closed = app.get("/operator/api/circuit-breakers").await;
    for target in ["switch", "madre"] {
        assert_eq!(closed.data()[target], json!({ "state": "closed", "failure_count": 0 }));
    }
    app.switch.on("/switch/chat", Does::Answer(500, Value::Null));
    for _ in 0..5 {
        assert_eq!(who(&app.say("hello").await).3, "http_500");
    }
    assert_eq!(who(&app.say("hello").await), (200, "madre", true, "circuit_open"));
    assert_eq!(app.switch.asked("/switch/chat").len(), 5);
    let open = app.get("/operator/api/circuit-breakers").await;
    let switch = &open.data()["switch"];
    assert_eq!((&switch["state"], &switch["failure_count"]), (&json!("open"), &json!(5)));
    assert!(switch["last_failure"].is_string());
    assert_eq!(open.data()["madre"]["state"], "closed");
}

#[tokio::test]
async fn a_switch_that_comes_back_is_used_again() {
    let app = App::with(&[
        ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TTL", "50ms"),
        ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TIMEOUT", "50ms"),
    ])
    .await;
    let asked_again = async |answer: &str| {
        eventually(answer, async || app.say("hello").await["provider"] == answer).await;
    };
    for bad in [Does::Hang, Does::Answer(503, Value::Null), Does::Answer(200, json!({ "status": "ill" }))] {
        app.switch.on("/health", bad);
        asked_again("madre").await;
        let good = json!({ "status": "ok", "module": "switch", "version": "1", "timestamp": "t" });
        app.switch.on("/health", Does::Answer(200, good));
        asked_again("switch").await;
    }
}

#[tokio::test]
async fn a_switch_that_died_under_many_calls_is_used_as_soon_as_it_is_seen_to_answer() {
    let app = App::with(&[
        ("VX11_OPERATOR__CHAT__SWITCH_TIMEOUT", "2s"),
        ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TTL", "300ms"),
    ])
    .await;
    app.switch.on("/switch/chat", Does::Hang);
    futures_util::future::join_all((0..8).map(|_| app.say("hello"))).await;
    let breakers = app.get("/operator/api/circuit-breakers").await;
    assert!(breakers.data()["switch"]["failure_count"].as_u64() >= Some(5), "{}", breakers.body);
    app.switch.on("/switch/chat", Does::Say("well again"));
    // Well within the minute that the breaker alone would have waited.
    eventually("chats go to it", async || app.say("hello").await["provider"] == "switch").await;
}

#[tokio::test]
async fn the_event_stream_tells_that_a_chat_found_the_switch_gone_and_that_it_is_back() {
    let app = App::with(&[
        ("VX11_OPERATOR__CHAT__SWITCH_TIMEOUT", "100ms"),
        ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TTL", "100ms"),
    ])
    .await;
    app.switch.on("/switch/chat", Does::Hang);
    assert_eq!(who(&app.say("hello").await).3, "timeout");
    let told = |status: &str| {
        app.count(&format!(
            "SELECT count(*) FROM copilot_actions_log WHERE action_type = 'service_status' AND target = 'switch' \
             AND status = '{status}'"
        ))
    };
    eventually("both are told", async || told("up") == 1).await;
    assert_eq!(told("down"), 1);
    assert_eq!(
        app.count("SELECT max(id) FROM copilot_actions_log WHERE status IN ('up', 'down')"),
        app.count("SELECT id FROM copilot_actions_log WHERE status = 'up'")
    );
}

#[tokio::test]
async fn a_dead_madre_is_known_before_a_chat_needs_it_and_so_is_its_return() {
    let app = App::with(&[
        ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TTL", "50ms"),
        ("VX11_OPERATOR__CHAT__SWITCH_HEALTH_TIMEOUT", "50ms"),
    ])
    .await;
    let madre = async || app.get("/ready").await["dependencies"]["madre"]["status"].clone();
    app.madre.on("/health", Does::Hang);
    eventually("it is seen to be down", async || madre().await == "down").await;
    let good = json!({ "status": "ok", "module": "madre", "version": "1", "timestamp": "t" });
    app.madre.on("/health", Does::Answer(200, good));
    eventually("it is seen to be back", async || madre().await == "up").await;
    assert!(app.madre.asked("/madre/chat").is_empty());
}

#[tokio::test]
async fn ready_tells_a_service_that_is_gone_from_one_that_only_fails_at_chats() {
    let to_madre = json!({ "message": "hello", "provider": "madre" });
    // With a pause of zero the circuit is half open as soon as it would be open.
    for (open_for, expected) in [("60s", "degraded"), ("0s", "up")] {
        let app = App::with(&[("VX11_OPERATOR__CHAT__BREAKER__OPEN_FOR", open_for)]).await;
        let madre = async || app.get("/ready").await["dependencies"]["madre"]["status"].clone();
        app.madre.on("/madre/chat", Does::Answer(500, Value::Null));
        for _ in 0..5 {
            app.chat(to_madre.clone()).await;
        }
        assert_eq!(madre().await, expected);
    }
    let app = App::start().await;
    app.madre.die().await;
    app.chat(to_madre).await;
    assert_eq!(app.get("/ready").await["dependencies"]["madre"]["status"], "down", "a chat found it gone");
}

#[tokio::test]
async fn madre_is_asked_again_soon_because_nobody_stands_in_for_it() {
    let app = App::start().await;
    let to_madre = json!({ "message": "hello", "provider": "madre" });
    app.madre.on("/madre/chat", Does::Answer(500, Value::Null));
    for _ in 0..5 {
        assert_eq!(app.chat(to_madre.clone()).await.status, 503);
    }
    app.madre.on("/madre/chat", Does::Say("well"));
    // A minute's pause would be more than the test's patience.
    eventually("it answers", async || app.chat(to_madre.clone()).await.status == 200).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_the_work_and_leaves_a_row() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Hang);
    let body = json!({ "message": "hello", "correlation_id": "gone" });
    let chat = tokio::spawn(app.chat_request(&body).send());
    eventually("the switch is asked", async || app.switch.asked("/switch/chat").len() == 1).await;
    chat.abort();
    eventually("the switch's work is cancelled", async || app.switch.hung_up() == 1).await;
    app.notes_who_left("gone").await;
    app.switch.on("/switch/chat", Does::Say("well"));
    assert_eq!(who(&app.say("hello").await), (200, "switch", false, ""), "it says nothing about the switch");
}
