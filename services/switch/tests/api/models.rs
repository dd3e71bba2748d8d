//! `GET /v1/models` and `GET /switch/providers`.

use serde_json::json;

use crate::app::{Answer, App};
use crate::fake::{Fake, completion};

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

#[tokio::test]
async fn the_document_names_every_header_that_an_answer_comes_with() {
    let document = serde_json::to_value(vx11_switch::openapi()).unwrap();
    let fake = Fake::always([completion("hi")]).await;
    let app = App::in_front_of(
        &[&fake.url],
        &[
            ("VX11_SWITCH__CACHE__ENABLED", "true"),
            ("VX11_SWITCH__KEYS__ALICE__SECRET_ENV", "ALICE_SECRET"),
            ("VX11_SWITCH__KEYS__ALICE__REQUESTS_PER_DAY", "99"),
            ("VX11_SWITCH__KEYS__ALICE__TOKENS_PER_DAY", "99999"),
            ("ALICE_SECRET", "sk-alice"),
        ],
    )
    .await;
    // What HTTP itself and the trace have.
    let plain = ["content-type", "content-length", "date", "traceparent"];
    let own = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"session_id":"s","correlation_id":"c"}"#;
    for (path, secret, body, status) in [
        ("/v1/chat/completions", "sk-alice", r#"{"model":"m","messages":[]}"#, "200"),
        // It is kept now.
        ("/v1/chat/completions", "sk-alice", r#"{"model":"m","messages":[]}"#, "200"),
        ("/v1/completions", "sk-alice", r#"{"model":"m","prompt":"x"}"#, "200"),
        ("/v1/responses", "sk-alice", r#"{"model":"m","input":"x"}"#, "200"),
        (
            "/v1/messages",
            "sk-alice",
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#,
            "200",
        ),
        ("/v1/messages/count_tokens", "sk-alice", r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#, "200"),
        ("/v1/embeddings", "sk-alice", r#"{"model":"nobody","input":"x"}"#, "404"),
        ("/v1/chat/completions", "sk-alice", r#"{"model":"m","messages":[],"max_tokens":100000}"#, "429"),
        ("/switch/chat", "test", own, "200"),
    ] {
        let got = Answer::of(app.stranger(path).bearer_auth(secret).body(body)).await;
        assert_eq!(got.status.to_string(), status, "{path}: {}", got.body);
        let known = &document["paths"][path]["post"]["responses"][status]["headers"];
        for name in got.headers.keys().map(|name| name.as_str()).filter(|name| !plain.contains(name)) {
            let place = known[name]["$ref"].as_str().unwrap_or_else(|| panic!("{path} {status}: {name} is not said"));
            let said = document.pointer(place.strip_prefix('#').unwrap());
            assert!(said.is_some_and(|header| header["description"].is_string()), "{place}");
        }
    }
}
