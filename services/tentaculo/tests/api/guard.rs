//! Who gets in.

use reqwest::Method;
use serde_json::json;

use crate::edge::{Answer, Edge, TOKEN};
use crate::service::Service;

#[tokio::test]
async fn the_token_opens_the_door_in_either_header_and_nothing_else_does() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let bearer = |scheme: &str| format!("{scheme} {TOKEN}");
    for (name, value) in [
        ("x-vx11-token", TOKEN.to_owned()),
        ("authorization", bearer("Bearer")),
        ("authorization", bearer("bEARER")),
        ("authorization", bearer("Bearer  ")),
        ("x-api-key", TOKEN.to_owned()),
    ] {
        let got = Answer::of(edge.stranger(Method::GET, "/operator/api/status").header(name, &value)).await;
        assert_eq!((got.status, got.body.as_str()), (200, "ok"), "{name}: {value}");
    }
    let passed = service.requests().len();
    for (name, value, refusal) in [
        ("x-vx11-token", "wrong", (403, "invalid_token")),
        ("x-vx11-token", "", (403, "invalid_token")),
        ("x-vx11-token", "the-right-toke", (403, "invalid_token")),
        ("x-vx11-token", "the-right-token2", (403, "invalid_token")),
        ("x-vx11-token", "THE-RIGHT-TOKEN", (403, "invalid_token")),
        ("authorization", "Bearer wrong", (403, "invalid_token")),
        ("x-api-key", "wrong", (403, "invalid_token")),
        ("authorization", TOKEN, (401, "missing_token")),
        ("authorization", "Basic dGhlLXJpZ2h0LXRva2Vu", (401, "missing_token")),
        ("cookie", "x-vx11-token=the-right-token", (401, "missing_token")),
    ] {
        let got = Answer::of(edge.stranger(Method::GET, "/operator/api/status").header(name, value)).await;
        assert_eq!(got.refusal(), (refusal.0, refusal.1.to_owned()), "{name}: {value}");
        assert!(!got.body.contains(TOKEN), "{}", got.body);
    }
    let both = edge.get("/operator/api/status").header("x-vx11-token", "wrong");
    assert_eq!(Answer::of(both).await.status, 403, "a wrong token is not made good by another");
    assert_eq!(service.requests().len(), passed, "nothing of it reached the service");
}

#[tokio::test]
async fn openai_clients_get_their_own_shape() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for token in [None, Some("wrong")] {
        let mut request = edge.stranger(Method::POST, "/v1/chat/completions").body("{}");
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let got = Answer::of(request).await;
        let error = &got.json()["error"];
        assert_eq!(got.status, 401, "{got:?}");
        assert_eq!(
            (&error["type"], &error["code"], &error["param"]),
            (&json!("authentication_error"), &json!("invalid_api_key"), &json!(null)),
        );
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn anthropics_clients_get_theirs() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for token in [None, Some("wrong")] {
        let mut request = edge.stranger(Method::POST, "/v1/messages").body("{}");
        if let Some(token) = token {
            request = request.header("x-api-key", token);
        }
        let got = Answer::of(request).await;
        assert_eq!(got.status, 401, "{got:?}");
        let body = got.json();
        assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("authentication_error")));
    }
    let right = edge.stranger(Method::POST, "/v1/messages").header("x-api-key", TOKEN).body("{}");
    assert_eq!(Answer::of(right).await.status, 200);
    let [passed] = &service.requests()[..] else { panic!("one request is passed on") };
    assert!(!format!("{passed:?}").contains("x-api-key"), "the edge presents the token in its own way");
}

#[tokio::test]
async fn a_query_token_opens_streams_only() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let minted = vx11_chassis::auth::mint_stream_token(&TOKEN.into(), std::time::SystemTime::now());
    let ask = async |method: Method, path: &str, token: &str| {
        Answer::of(edge.stranger(method, &format!("{path}?token={token}"))).await.status
    };
    assert_eq!(ask(Method::GET, "/operator/api/events", &minted).await, 200);
    assert_eq!(ask(Method::POST, "/operator/api/events", &minted).await, 401);
    assert_eq!(ask(Method::GET, "/operator/api/status", &minted).await, 401);
    assert_eq!(ask(Method::GET, "/operator/api/events/sse-token", &minted).await, 401);
    assert_eq!(ask(Method::GET, "/operator/api/events", TOKEN).await, 403, "the token itself has no place in a URL");
    assert_eq!(ask(Method::GET, "/operator/api/events", "1.00").await, 403);
}

#[tokio::test]
async fn only_the_public_routes_are_open() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let status = async |method: Method, path: &str| Answer::of(edge.stranger(method, path)).await.status;
    for path in ["/health", "/ready", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(status(Method::GET, path).await, 200, "{path}");
        assert_eq!(status(Method::POST, path).await, 401, "{path}");
    }
    for path in [
        "/",
        "/tentaculo/circuits",
        "/nothing",
        "/operator",
        "/madre/plans",
        "/switch/providers",
        "/v1x",
        "/docs/../operator/api/status",
        "/docs/%2e%2e/operator/api/status",
        "//health",
        "/health/",
        "/heal%74h",
    ] {
        let got = edge.raw(&[&format!("GET {path} HTTP/1.1"), "x-vx11-token:"], "").await;
        let got = got.lines().next().unwrap_or_default();
        assert!(["401", "403", "404"].iter().any(|status| got.contains(status)), "{path}: {got}");
    }
    assert!(service.requests().is_empty());
}
