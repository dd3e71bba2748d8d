//! Keys of switch's own, which the edge passes on where it is told to.

use reqwest::Method;

use crate::edge::{Answer, Edge, TOKEN};
use crate::service::{Service, answer};

const ON: (&str, &str) = ("VX11_TENTACULO__SWITCH_KEYS", "true");

#[tokio::test]
async fn a_key_reaches_switch_as_it_was_sent_and_without_the_services_token() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[ON]).await;
    for (name, value) in [("authorization", "Bearer sk-1"), ("x-api-key", "sk-1"), ("x-vx11-token", "sk-1")] {
        let got = Answer::of(edge.stranger(Method::GET, "/v1/models").header(name, value)).await;
        assert_eq!((got.status, service.header(name)), (200, vec![value.to_owned()]), "{name}");
        assert!(!service.last().contains(TOKEN), "{}", service.last());
    }
    let own = Answer::of(edge.stranger(Method::GET, "/v1/models").header("x-api-key", TOKEN)).await;
    assert_eq!((own.status, service.header("x-vx11-token")), (200, vec![TOKEN.to_owned()]));
    assert!(service.header("x-api-key").is_empty(), "the token travels in one place");
}

#[tokio::test]
async fn only_v1_is_open_to_keys_and_only_where_it_is_configured() {
    let service = Service::well().await;
    let open = Edge::in_front_of(&service.url, &[ON]).await;
    for path in ["/operator/api/status", "/switch/usage", "/switch/providers", "/madre/plans", "/v1", "/v1x/models"] {
        let got = Answer::of(open.stranger(Method::GET, path).bearer_auth("sk-1")).await;
        assert!(matches!(got.status, 401 | 403), "{path}: {}", got.status);
    }
    for path in ["/v1/../switch/usage", "/v1/%2e%2e/switch/usage", "/v1/..\\switch"] {
        let got = open.raw(&[&format!("GET {path} HTTP/1.1"), "authorization: Bearer sk-1"], "").await;
        let got = got.lines().next().unwrap_or_default();
        assert!(["400", "401", "403"].iter().any(|status| got.contains(status)), "{path}: {got}");
    }
    assert_eq!(Answer::of(open.stranger(Method::GET, "/v1/models")).await.status, 401, "no key at all");

    let closed = Edge::in_front_of(&service.url, &[]).await;
    assert_eq!(Answer::of(closed.stranger(Method::GET, "/v1/models").bearer_auth("sk-1")).await.status, 401);
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn who_guesses_keys_is_slowed_down_like_who_guesses_tokens() {
    let refusal = "www-authenticate: Bearer error=\"invalid_token\"\r\n";
    let service = Service::always([answer(401, refusal, "{}")]).await;
    let edge = Edge::in_front_of(&service.url, &[ON, ("VX11_TENTACULO__WRONG_TOKENS_PER_MINUTE", "3")]).await;
    let guess = async |n: usize| Answer::of(edge.stranger(Method::GET, "/v1/models").bearer_auth(n)).await.status;
    for n in 0..3 {
        assert_eq!(guess(n).await, 401);
    }
    assert_eq!((guess(3).await, service.requests().len()), (429, 3));
}
