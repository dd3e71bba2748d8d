//! `GET /v1/models` and `GET /switch/providers`.

use serde_json::json;

use crate::app::{Answer, App};

#[tokio::test]
async fn models_are_what_can_be_asked_for_by_a_plain_name() {
    let app =
        App::in_front_of(&["http://127.0.0.1:1"], &[("VX11_SWITCH__PROVIDERS__A__MODELS", "[\"org/m\",\"any-*\"]")])
            .await;
    let list = Answer::of(app.get("/v1/models")).await.json();
    let names: Vec<(&str, &str)> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| (model["id"].as_str().unwrap(), model["owned_by"].as_str().unwrap()))
        .collect();
    assert_eq!(list["object"], "list");
    let ours: Vec<_> = names.into_iter().filter(|(_, owner)| *owner != "mock").collect();
    assert_eq!(ours, [("default", "a"), ("m", "a"), ("org/m", "a")], "deepseek_r1 has no key");

    let one = Answer::of(app.get("/v1/models/org/m")).await;
    assert_eq!(
        (one.status, one.json()),
        (200, json!({"id": "org/m", "object": "model", "created": 0, "owned_by": "a"}))
    );
    for served in ["any-thing", "a/what-i-like"] {
        let one = Answer::of(app.get(&format!("/v1/models/{served}"))).await;
        assert_eq!(
            (one.status, one.json()["id"].as_str(), one.json()["owned_by"].as_str()),
            (200, Some(served), Some("a"))
        );
    }
    for unknown in ["gpt-9", "deepseek-reasoner"] {
        let none = Answer::of(app.get(&format!("/v1/models/{unknown}"))).await;
        assert_eq!((none.status, none.code()), (404, "model_not_found"), "{unknown}");
    }
}

#[tokio::test]
async fn providers_are_shown_with_their_state_and_without_their_secrets() {
    let variables = [("DEEPSEEK_API_KEY", "sk-very-secret"), ("VX11_SWITCH__PROVIDERS__LOCAL__ENABLED", "false")];
    let app = App::start(&variables).await;
    let got = Answer::of(app.get("/switch/providers")).await;
    let breaker = json!({"state": "closed", "failure_count": 0});
    let concurrency = json!({"limit": 100, "in_flight": 0});
    let queue = json!({"interactive": 0, "normal": 0, "batch": 0});
    let expected = json!({"providers": [
        {"name": "deepseek_r1", "kind": "openai", "base_url": "https://api.deepseek.com/v1",
            "models": ["deepseek-reasoner"], "key": "present", "breaker": breaker,
            "keys": [{"variable": "DEEPSEEK_API_KEY", "state": "alive"}], "live": [],
            "health": "up", "concurrency": concurrency, "queue": queue},
        {"name": "mock", "kind": "openai", "base_url": "http://127.0.0.1:8003/v1",
            "models": ["mock", "mock-small", "mock-large", "mock-reasoner", "mock*"], "key": "not_required", "breaker": breaker,
            "keys": [], "live": [], "health": "up", "concurrency": concurrency, "queue": queue},
    ]});
    assert_eq!(got.json(), expected);
    let models = Answer::of(app.get("/v1/models")).await;
    assert!(models.body.contains("deepseek-reasoner"), "it has its key");
}

#[tokio::test]
async fn only_callers_with_the_token_come_in() {
    let app = App::in_front_of(&["http://127.0.0.1:1"], &[]).await;
    for (path, wrong_status, wrong_code) in
        [("/v1/models", 401, "invalid_api_key"), ("/switch/providers", 403, "invalid_token")]
    {
        let got = Answer::of(app.get(path).header("x-vx11-token", "wrong")).await;
        assert_eq!((got.status, got.code()), (wrong_status, wrong_code));
    }
}

#[tokio::test]
async fn the_document_describes_every_route() {
    let document = serde_json::to_value(vx11_switch::openapi()).unwrap();
    let paths: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    for path in [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{id}",
        "/v1/responses",
        "/switch/chat",
        "/switch/providers",
        "/health",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
    }
}
