//! Deadlines, and requests that nobody could serve: they cost their own caller, and nobody else.

use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::fake::{Does, error};

/// A chat whose caller waits this long.
async fn say_within(app: &App, ms: &str) -> Answer {
    Answer::of(app.chat_request(&json!({ "message": "hello" })).header("x-vx11-deadline-ms", ms)).await
}

/// How many failures each breaker has counted.
async fn failures(app: &App) -> [Value; 2] {
    let breakers = app.get("/operator/api/circuit-breakers").await;
    ["switch", "madre"].map(|target| breakers.data()[target]["failure_count"].clone())
}

#[tokio::test]
async fn a_deadline_leaves_madre_her_part_of_it() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Hang);
    let answer = say_within(&app, "10000").await;
    assert_eq!((answer.status, &answer["fallback_source"]), (200, &json!("timeout")), "{}", answer.body);
    let latency = answer["latency_ms"].as_u64().expect("a number");
    assert!(latency < 10_000, "{latency}");
    let told = |asked: &[crate::fake::Asked]| asked[0].headers["x-vx11-deadline-ms"].parse::<u64>().expect("a number");
    assert!(told(&app.switch.asked("/switch/chat")) <= 8000);
    assert!(told(&app.madre.asked("/madre/chat")) <= 2000);
}

#[tokio::test]
async fn nobody_in_time_is_a_missed_deadline() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Hang);
    app.madre.on("/madre/chat", Does::Hang);
    for ms in ["0", "1", "300"] {
        let answer = say_within(&app, ms).await;
        assert_eq!((answer.status, answer.code()), (504, "deadline_exceeded"), "{ms}: {}", answer.body);
    }
    app.written().await;
    assert_eq!(app.count("SELECT count(*) FROM performance_logs WHERE error_type = 'deadline_exceeded'"), 3);
}

#[tokio::test]
async fn a_caller_in_a_hurry_does_not_take_the_switch_from_the_others() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Hang);
    app.madre.on("/madre/chat", Does::Hang);
    for _ in 0..6 {
        assert_eq!(say_within(&app, "20").await.status, 504);
    }
    assert_eq!(failures(&app).await, [0, 0]);
    app.switch.on("/switch/chat", Does::Say("from the switch"));
    assert_eq!(app.say("hello").await["provider"], "switch");
}

#[tokio::test]
async fn a_request_that_is_refused_does_not_open_the_circuit_for_the_others() {
    let app = App::start().await;
    for status in [400, 413, 422] {
        app.switch.on("/switch/chat", Does::Answer(status, error("invalid_field")));
        app.madre.on("/madre/chat", Does::Answer(status, error("invalid_field")));
        for _ in 0..6 {
            assert_eq!(app.say("hello").await.status, 503);
        }
    }
    assert_eq!(failures(&app).await, [0, 0]);
}

#[tokio::test]
async fn a_pinned_provider_that_fails_does_not_open_the_circuit_for_the_others() {
    let app = App::start().await;
    app.switch.on("/switch/chat", Does::Answer(502, error("upstream_error")));
    for _ in 0..6 {
        let answer = app.chat(json!({ "message": "hello", "provider": "broken" })).await;
        assert_eq!(answer["fallback_source"], "http_502", "{}", answer.body);
    }
    assert_eq!(failures(&app).await, [0, 0]);
    app.switch.on("/switch/chat", Does::Say("from the switch"));
    assert_eq!(app.say("hello").await["provider"], "switch");
}
