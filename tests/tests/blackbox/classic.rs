//! The cases that every client relies on.

use serde_json::{Value, json};
use vx11_tests::{Chain, TOKEN, wait_until};

#[tokio::test]
async fn without_a_token_nothing_is_answered() {
    let chain = Chain::start().expect("starts");
    for service in ["tentaculo", "operator"] {
        let anonymous = chain.call(service).with_token(None).chat("Hello").await;
        assert_eq!((anonymous.status, anonymous.code()), (401, "missing_token"), "{service}");
        let stranger = chain.call(service).with_token(Some("wrong")).chat("Hello").await;
        assert_eq!((stranger.status, stranger.code()), (403, "invalid_token"), "{service}");
    }
}

#[tokio::test]
async fn with_the_token_a_chat_is_answered_directly_and_through_the_edge() {
    let chain = Chain::start().expect("starts");
    for service in ["tentaculo", "operator"] {
        let answer = chain.call(service).chat("Hello").await;
        assert_eq!(answer.status, 200, "{service}: {}", answer.body);
        assert_schema(&answer.body);
        assert_eq!((&answer.body["provider"], &answer.body["degraded"]), (&json!("switch"), &json!(false)));
        assert_eq!(answer.header("x-correlation-id"), answer.body["correlation_id"]);
    }
    let by_bearer = chain.edge().with_token(None).request(reqwest::Method::POST, "/operator/api/chat");
    let by_bearer = by_bearer.bearer_auth(TOKEN).json(&json!({ "message": "Hello" }));
    assert_eq!(vx11_tests::send(by_bearer).await.expect("an answer").status, 200);
}

/// Every field with its type, and no other.
fn assert_schema(body: &Value) {
    let is = |name: &str, holds: fn(&Value) -> bool| assert!(holds(&body[name]), "{name} in {body}");
    for name in ["response", "model_used", "correlation_id", "session_id", "provider", "status"] {
        is(name, |value| value.as_str().is_some_and(|text| !text.is_empty()));
    }
    is("latency_ms", Value::is_u64);
    is("degraded", Value::is_boolean);
    let known = [
        "response",
        "model_used",
        "latency_ms",
        "correlation_id",
        "session_id",
        "provider",
        "status",
        "degraded",
        "fallback_source",
        "cache_hit",
        "reasoning",
        "usage",
        "plan_id",
        "confirm_token",
    ];
    let fields = body.as_object().expect("an object").keys();
    assert_eq!(fields.filter(|name| !known.contains(&name.as_str())).collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test]
async fn without_the_switch_madre_answers() {
    let mut chain = Chain::start().expect("starts");
    let operator = chain.call("operator");
    wait_until("the switch is believed in", async || {
        (operator.get("/ready").await.body["dependencies"]["switch"]["status"] == "up").then_some(())
    })
    .await;
    chain.kill9("switch").expect("it ran");
    let answer = chain.edge().chat("Hello").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_schema(&answer.body);
    assert_eq!((&answer.body["provider"], &answer.body["degraded"]), (&json!("madre"), &json!(true)));
    assert_eq!(answer.body["fallback_source"], "connect");
    // Known by now: it is not asked again.
    let again = chain.edge().chat("Hello again").await;
    assert_eq!((again.status, &again.body["fallback_source"]), (200, &json!("switch_unhealthy")));
    chain.kill9("madre").expect("it ran");
    let nobody = chain.edge().chat("Anybody?").await;
    assert_eq!((nobody.status, nobody.code()), (503, "service_unavailable"));
}

#[tokio::test]
async fn one_correlation_id_is_in_every_log_and_in_the_store() {
    let mut chain = Chain::start().expect("starts");
    let request = chain.edge().request(reqwest::Method::POST, "/operator/api/chat");
    let request = request.header("x-correlation-id", "trail-1").json(&json!({ "message": "Hello" }));
    let answer = vx11_tests::send(request).await.expect("an answer");
    assert_eq!((answer.header("x-correlation-id"), &answer.body["correlation_id"]), ("trail-1", &json!("trail-1")));

    for service in ["tentaculo", "operator", "switch", "mock-provider"] {
        wait_until("the log has the id", async || {
            chain.process(service).log().iter().any(|line| line["correlation_id"] == "trail-1").then_some(())
        })
        .await;
    }
    // A disk that is slow at this moment has the answer sent before its rows.
    let trail = wait_until("its rows are there", async || {
        let trail = chain.edge().get("/operator/api/audit/trail-1").await;
        trail.body["data"]["turns"].as_array().is_some_and(|turns| !turns.is_empty()).then_some(trail)
    })
    .await;
    let actions = trail.body["data"]["actions"].as_array().expect("actions").clone();
    assert_eq!(actions.len(), 1, "{}", trail.body);
    assert_eq!((&actions[0]["action"], &actions[0]["status"]), (&json!("chat"), &json!("ok")));
    assert_eq!(trail.body["data"]["turns"][0]["response"], answer.body["response"]);
    let session = answer.body["session_id"].as_str().expect("a session");
    let session = chain.edge().get(&format!("/operator/api/sessions/{session}")).await;
    assert_eq!(session.body["data"]["history"][0]["correlation_id"], "trail-1");
}

#[tokio::test]
async fn a_crowd_is_answered_without_an_error() {
    let queue = ("VX11_SWITCH__PROVIDERS__MOCK__CONCURRENCY__QUEUE_TIMEOUT", "30s");
    let chain = Chain::start_with(&[queue]).expect("starts");
    let edge = chain.edge();
    let crowd = (0..400).map(|n| {
        let edge = edge.clone();
        async move { edge.chat(&format!("echo: number {n}")).await }
    });
    let answers = futures_util::future::join_all(crowd).await;
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!((answer.status, &answer.body["response"]), (200, &json!(format!("number {n}"))), "{}", answer.body);
    }
}
