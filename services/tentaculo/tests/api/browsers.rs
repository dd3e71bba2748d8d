//! Cross-origin rules.

use reqwest::Method;

use crate::edge::{Answer, Edge};
use crate::service::Service;

const ORIGINS: (&str, &str) = ("VX11_TENTACULO__ALLOWED_ORIGINS", r#"["https://app.example"]"#);

/// What answers tell in headers, and a page would not see otherwise.
const TOLD: [&str; 19] = [
    "age",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "x-correlation-id",
    "x-ratelimit-limit-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-requests",
    "x-ratelimit-reset-tokens",
    "x-request-id",
    "x-vx11-attempts",
    "x-vx11-cache",
    "x-vx11-cost-usd",
    "x-vx11-model",
    "x-vx11-overhead-ms",
    "x-vx11-provider",
    "x-vx11-storage",
];

fn preflight(edge: &Edge, origin: &str) -> reqwest::RequestBuilder {
    edge.stranger(Method::OPTIONS, "/operator/api/chat")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type,x-vx11-token")
}

#[tokio::test]
async fn a_page_that_is_allowed_may_ask_and_read() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[ORIGINS]).await;
    let asked = Answer::of(preflight(&edge, "https://app.example")).await;
    assert_eq!((asked.status, asked.header("access-control-allow-origin")), (200, "https://app.example"));
    assert!(asked.header("access-control-allow-methods").contains("POST"), "{asked:?}");
    assert!(asked.header("access-control-allow-headers").contains("x-vx11-token"), "{asked:?}");
    assert!(asked.header("vary").to_ascii_lowercase().contains("origin"), "{asked:?}");
    assert!(service.requests().is_empty(), "the edge answers it itself, without a token");

    let got = Answer::of(edge.post("/operator/api/chat", "{}").header("origin", "https://app.example")).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, "https://app.example"));
    let exposed: Vec<&str> = got.header("access-control-expose-headers").split(',').map(str::trim).collect();
    for name in TOLD {
        assert!(exposed.contains(&name), "{name}: {exposed:?}");
    }

    let refused = edge.stranger(Method::POST, "/operator/api/chat").header("origin", "https://app.example");
    let refused = Answer::of(refused).await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, "https://app.example"));
}

#[tokio::test]
async fn another_page_gets_no_leave() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[ORIGINS]).await;
    for origin in ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"] {
        let asked = Answer::of(preflight(&edge, origin)).await;
        assert_eq!(asked.refusal(), (400, "malformed_request".to_owned()), "{origin}");
        assert_eq!(asked.header("access-control-allow-origin"), "", "{origin}");
        let got = Answer::of(edge.get("/operator/api/status").header("origin", origin)).await;
        assert_eq!(got.header("access-control-allow-origin"), "", "{origin}");
    }
}

#[tokio::test]
async fn without_configured_pages_the_edge_speaks_no_cors() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    assert_eq!(Answer::of(preflight(&edge, "https://app.example")).await.refusal().0, 401);
    let got = Answer::of(edge.get("/operator/api/status").header("origin", "https://app.example")).await;
    assert_eq!((got.status, got.header("access-control-allow-origin")), (200, ""));
}

#[tokio::test]
async fn a_star_lets_every_page_in() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_TENTACULO__ALLOWED_ORIGINS", r#"["*"]"#)]).await;
    let asked = Answer::of(preflight(&edge, "https://any.example")).await;
    assert!(["*", "https://any.example"].contains(&asked.header("access-control-allow-origin")), "{asked:?}");
    assert_eq!(asked.header("access-control-allow-credentials"), "", "a page gets no cookies along");
}

#[tokio::test]
async fn a_page_can_read_that_it_asks_too_often() {
    let service = Service::well().await;
    let limits =
        [ORIGINS, ("VX11_TENTACULO__ADDRESS_LIMIT__BURST", "1"), ("VX11_TENTACULO__ADDRESS_LIMIT__PER_MINUTE", "1")];
    let edge = Edge::in_front_of(&service.url, &limits).await;
    let ask = async || Answer::of(edge.get("/operator/api/status").header("origin", "https://app.example")).await;
    assert_eq!(ask().await.status, 200);
    let refused = ask().await;
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (429, "https://app.example"));
}
