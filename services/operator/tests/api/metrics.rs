//! Summaries of how requests went.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, App, eventually};
use crate::fake::Does;

/// Waits until this many performance rows are on disk: those of anything but chats are written behind the answer.
async fn rows(app: &App, count: i64) {
    eventually("the rows are there", async || app.count("SELECT count(*) FROM performance_logs") == count).await;
}

#[tokio::test]
async fn an_empty_window_is_zeros_for_every_period() {
    let app = App::start().await;
    for period in ["1h", "6h", "24h"] {
        let answer = app.get(&format!("/operator/api/metrics?period={period}")).await;
        let data = answer.data();
        assert_eq!((&data["period"], &data["errors"]), (&json!(period), &json!({})));
        let latencies = data["latencies"].as_object().expect("an object");
        assert_eq!(latencies.len(), 6);
        if period == "1h" {
            assert_eq!(data["request_counts"], json!({ "total": 0, "by_endpoint": {}, "by_status": {} }));
            assert!(latencies.values().all(|value| value == &json!(0.0)), "{latencies:?}");
        }
        assert_eq!(data["correlation_id"], answer.header("x-correlation-id"));
    }
}

#[tokio::test]
async fn requests_are_counted_by_endpoint_status_error_and_provider() {
    let app = App::start().await;
    app.say("one").await;
    app.chat(json!({ "message": "two", "provider": "madre" })).await;
    app.say(" ").await;
    app.get("/operator/api/sessions/nobody").await;
    app.switch.on("/switch/chat", Does::Answer(500, Value::Null));
    app.madre.on("/madre/chat", Does::Answer(500, Value::Null));
    app.say("three").await;
    rows(&app, 5).await;
    let data = app.get("/operator/api/metrics").await.data().clone();
    assert_eq!(data["period"], "1h");
    let expected = json!({
        "total": 5,
        "by_endpoint": { "/operator/api/chat": 4, "/operator/api/sessions/{id}": 1 },
        "by_status": { "200": 2, "404": 1, "422": 1, "503": 1 },
    });
    assert_eq!(data["request_counts"], expected);
    assert_eq!(data["errors"], json!({ "invalid_field": 1, "not_found": 1, "service_unavailable": 1 }));
    assert_eq!(data["provider_usage"], json!({ "switch": 1, "madre": 1 }));
    let ms = |name: &str| data["latencies"][name].as_f64().expect("a number");
    assert!(ms("min_ms") <= ms("p50_ms") && ms("p50_ms") <= ms("p95_ms") && ms("p99_ms") <= ms("max_ms"));
}

#[tokio::test]
async fn a_summary_is_believed_for_a_while_each_period_for_itself() {
    let app = App::start().await;
    let first = app.get("/operator/api/metrics?period=1h").await;
    app.say("hello").await;
    let second = app.get("/operator/api/metrics?period=1h").await;
    let apart_from_its_id = |answer: &Answer| {
        assert_eq!(answer.data()["correlation_id"], answer.header("x-correlation-id"));
        let mut data = answer.data().clone();
        data["correlation_id"] = Value::Null;
        data
    };
    assert_eq!(apart_from_its_id(&second), apart_from_its_id(&first));
    assert_ne!(second.data()["correlation_id"], first.data()["correlation_id"]);
    let day = app.get("/operator/api/metrics?period=24h").await;
    assert_ne!(day.data()["request_counts"]["total"], 0);
}

#[tokio::test]
async fn the_log_names_the_method_that_was_used() {
    let app = App::start().await;
    for method in [Method::PUT, Method::DELETE] {
        assert_eq!(Answer::of(app.request(method, "/operator/api/chat")).await.status, 405);
    }
    rows(&app, 2).await;
    let logged = |condition: &str| app.count(&format!("SELECT count(*) FROM performance_logs WHERE {condition}"));
    assert_eq!(logged("method = 'PUT' AND error_type = 'method_not_allowed' AND status_code = 405"), 1);
    assert_eq!(logged("method = 'DELETE'"), 1);
}
