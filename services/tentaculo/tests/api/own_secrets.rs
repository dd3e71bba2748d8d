//! Access tokens and API keys of callers, which the edge passes on to operator and switch as they came.

use reqwest::Method;
use secrecy::ExposeSecret;
use vx11_contracts::identity::{Principal, Role};
use vx11_identity::NewApiKey;

use crate::edge::{Answer, Edge, TOKEN};
use crate::service::{Service, answer};

/// Of the form of an access token; whether it is one, the operator says.
const JWT: &str = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl";

#[tokio::test]
async fn a_callers_own_secret_reaches_operator_and_gateway_without_the_services_token() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let key = NewApiKey::make();
    for secret in [key.plain.expose_secret(), JWT] {
        let bearer = format!("Bearer {secret}");
        for (name, value) in [("authorization", &*bearer), ("x-api-key", secret), ("x-vx11-token", secret)] {
            for (method, path) in [
                (Method::GET, "/operator/api/keys"),
                (Method::DELETE, "/operator/api/keys"),
                (Method::POST, "/api/interventions"),
                (Method::GET, "/api/interventions/i-1/wait?timeout_seconds=1"),
                (Method::POST, "/v1/chat/completions"),
                (Method::GET, "/v1/models"),
            ] {
                let got = Answer::of(edge.stranger(method, path).header(name, value)).await;
                assert_eq!((got.status, service.header(name)), (200, vec![value.to_owned()]), "{name} {path}");
                assert!(!service.last().contains(TOKEN), "{}", service.last());
            }
        }
    }
}

#[tokio::test]
async fn it_opens_nothing_but_these_and_guesses_are_still_refused_here() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let key = NewApiKey::make();
    for secret in [key.plain.expose_secret(), JWT] {
        for path in [
            "/madre/plans",
            "/switch/usage",
            "/v1",
            "/v1x/models",
            "/",
            "/tentaculo/circuits",
            "/operator",
            "/operatorx/a",
            "/api/keys",
            "/api/interventionsx",
        ] {
            let got = Answer::of(edge.stranger(Method::GET, path).bearer_auth(secret)).await;
            assert!(matches!(got.status, 401 | 403), "{path}: {}", got.status);
        }
        for path in [
            "/operator/../madre/plans",
            "/operator/%2e%2e/madre/plans",
            "/operator/..\\madre",
            "/v1/../switch/usage",
            "/api/interventions/../../madre/plans",
        ] {
            let got =
                edge.raw(&[&format!("GET {path} HTTP/1.1"), &format!("authorization: Bearer {secret}")], "").await;
            let got = got.lines().next().unwrap_or_default();
            assert!(["400", "401", "403"].iter().any(|status| got.contains(status)), "{path}: {got}");
        }
    }
    let mistyped = format!("{}x", &key.plain.expose_secret()[..key.plain.expose_secret().len() - 1]);
    for guess in ["wrong", "a.b", "..", "a..c", "vx11_", &mistyped, &"x".repeat(43)] {
        let got = Answer::of(edge.stranger(Method::GET, "/operator/api/status").bearer_auth(guess)).await;
        assert_eq!((got.status, got.code()), (403, "invalid_token"), "{guess}");
    }
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn a_pilots_stream_token_is_passed_on_and_is_lent_nothing() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let viewer = Principal { role: Role::Viewer, ..Principal::service() };
    let now = std::time::SystemTime::now();
    let minted = vx11_chassis::auth::mint_stream_token_for(&TOKEN.into(), &viewer, None, now);
    let path = format!("/operator/api/events?token={minted}");
    assert_eq!(Answer::of(edge.stranger(Method::GET, &path)).await.status, 200);
    assert!(service.last().contains(&minted) && service.header("x-vx11-token").is_empty(), "{}", service.last());
    let elsewhere = edge.stranger(Method::GET, &format!("/operator/api/keys?token={minted}"));
    assert_eq!(Answer::of(elsewhere).await.status, 401);
}

#[tokio::test]
async fn a_made_up_key_is_counted_when_the_operator_says_that_it_is_nobodys() {
    let refusal = "www-authenticate: Bearer error=\"invalid_token\"\r\n";
    let edge_with = async |headers: &'static str| {
        let service = Service::always([answer(403, headers, "{}")]).await;
        let edge = Edge::in_front_of(&service.url, &[("VX11_TENTACULO__WRONG_TOKENS_PER_MINUTE", "2")]).await;
        let key = NewApiKey::make();
        let mut seen = Vec::new();
        for _ in 0..4 {
            let asked = edge.stranger(Method::GET, "/operator/api/status").bearer_auth(key.plain.expose_secret());
            seen.push(Answer::of(asked).await.status);
        }
        (seen, edge.metric("vx11_wrong_tokens_total").await)
    };
    assert_eq!(edge_with(refusal).await, (vec![403, 403, 429, 429], 2.0));
    assert_eq!(edge_with("").await, (vec![403; 4], 0.0), "who is known and may not has not guessed");
}

#[tokio::test]
async fn an_access_token_that_has_expired_is_no_guess() {
    let service = Service::always([answer(401, "", "{}")]).await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_TENTACULO__WRONG_TOKENS_PER_MINUTE", "2")]).await;
    for _ in 0..5 {
        assert_eq!(Answer::of(edge.stranger(Method::GET, "/operator/api/status").bearer_auth(JWT)).await.status, 401);
    }
}
