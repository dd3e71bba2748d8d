//! How much an address and a token may ask, and how often an address may be wrong.

use reqwest::Method;

use crate::edge::{Answer, Edge, TOKEN, request};
use crate::service::Service;

const PROXIED: (&str, &str) = ("VX11_TENTACULO__TRUSTED_PROXIES", r#"["127.0.0.1"]"#);
const THREE_A_MINUTE: [(&str, &str); 2] =
    [("VX11_TENTACULO__ADDRESS_LIMIT__BURST", "3"), ("VX11_TENTACULO__ADDRESS_LIMIT__PER_MINUTE", "1")];
const THREE_A_TOKEN: [(&str, &str); 2] =
    [("VX11_TENTACULO__TOKEN_LIMIT__BURST", "3"), ("VX11_TENTACULO__TOKEN_LIMIT__PER_MINUTE", "1")];

fn assert_limited(got: &Answer, at_most_seconds: u64) {
    let seconds: u64 = got.header("retry-after").parse().expect("whole seconds");
    assert!((1..=at_most_seconds).contains(&seconds), "{seconds}");
    assert_eq!(got.refusal(), (429, "rate_limited".to_owned()));
    assert_eq!(got.json()["retry_after"], seconds);
}

#[tokio::test]
async fn each_address_has_its_own_limit_and_learns_when_to_come_back() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[&THREE_A_MINUTE[..], &[PROXIED]].concat()).await;
    let ask = async |from: &str| Answer::of(edge.get("/operator/api/status").header("x-forwarded-for", from)).await;
    for _ in 0..3 {
        assert_eq!(ask("6.6.6.6").await.status, 200);
    }
    assert_limited(&ask("6.6.6.6").await, 60);
    assert_limited(&ask("1.1.1.1, 6.6.6.6").await, 60);
    assert_eq!(ask("7.7.7.7").await.status, 200);
    assert_eq!(edge.metric(r#"vx11_rate_limited_total{scope="address"}"#).await, 2.0);
    assert_eq!(service.requests().len(), 4);
}

#[tokio::test]
async fn an_untrusted_client_cannot_take_another_address() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &THREE_A_MINUTE).await;
    for n in 0..4 {
        let got = Answer::of(edge.get("/operator/api/status").header("x-forwarded-for", format!("6.6.6.{n}"))).await;
        assert_eq!(got.status, if n < 3 { 200 } else { 429 });
    }
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(Answer::of(edge.stranger(Method::GET, path)).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn one_token_has_one_limit_however_it_is_written() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &THREE_A_TOKEN).await;
    let written = [
        format!("x-vx11-token: {TOKEN}"),
        format!("authorization: Bearer {TOKEN}"),
        format!("authorization: bearer     {TOKEN}"),
        format!("authorization: BEARER {TOKEN}"),
    ];
    for (n, header) in written.iter().enumerate() {
        let mut lines = vec!["GET /operator/api/status HTTP/1.1", header];
        // Keeps the default token away where another header brings it.
        let unreadable = "x-vx11-token: \u{e9}";
        if header.starts_with("auth") {
            lines.push(unreadable);
        }
        let got = edge.raw(&lines, "").await;
        let status = if n < 3 { "HTTP/1.1 200" } else { "HTTP/1.1 429" };
        assert!(got.starts_with(status), "{header}: {got}");
    }
}

#[tokio::test]
async fn openai_clients_learn_of_the_limit_in_their_own_shape() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &THREE_A_TOKEN).await;
    for _ in 0..3 {
        assert_eq!(Answer::of(edge.get("/v1/models")).await.status, 200);
    }
    let got = Answer::of(edge.get("/v1/models")).await;
    assert_eq!(got.refusal(), (429, "rate_limit_exceeded".to_owned()));
    assert_eq!(got.json()["error"]["type"], "rate_limit_error");
    assert!(got.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn who_guesses_tokens_is_slowed_and_nobody_else() {
    let service = Service::well().await;
    let few = ("VX11_TENTACULO__WRONG_TOKENS_PER_MINUTE", "3");
    let edge = Edge::in_front_of(&service.url, &[few, PROXIED]).await;
    let ask = async |from: &str, token: &str| {
        let request = edge.stranger(Method::GET, "/operator/api/status").header("x-forwarded-for", from);
        Answer::of(if token.is_empty() { request } else { request.bearer_auth(token) }).await
    };
    for n in 0..3 {
        assert_eq!(ask("6.6.6.6", &format!("guess-{n}")).await.status, 403);
    }
    assert_limited(&ask("6.6.6.6", "guess-4").await, 60);
    assert_limited(&ask("6.6.6.6", TOKEN).await, 60);
    assert_eq!(ask("7.7.7.7", TOKEN).await.status, 200, "another address is not touched");
    for _ in 0..5 {
        assert_eq!(ask("8.8.8.8", "").await.status, 401, "a missing token is no guess");
    }
    assert_eq!(ask("8.8.8.8", TOKEN).await.status, 200);
    assert_eq!(edge.metric(r#"vx11_rate_limited_total{scope="wrong_token"}"#).await, 2.0);
    let probe = edge.stranger(Method::GET, "/health").header("x-forwarded-for", "6.6.6.6");
    assert_eq!(Answer::of(probe).await.status, 200, "public routes stay open");
}

#[tokio::test]
async fn a_refused_request_leaves_its_connection_in_order() {
    use tokio::io::AsyncWriteExt;
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let mut connection = edge.connect().await;
    let refused =
        ["POST /operator/api/chat HTTP/1.1", "x-vx11-token: wrong", "content-length: 2", "connection: keep-alive"];
    connection.write_all(&[request(&refused).as_slice(), b"{}"].concat()).await.unwrap();
    connection.write_all(&request(&["GET /operator/api/status HTTP/1.1"])).await.unwrap();
    let got = crate::edge::read_to_end(&mut connection).await;
    assert!(got.starts_with("HTTP/1.1 403"), "{got}");
    // The edge may answer the second request or close the connection; it must not read the first one's body as a
    // request.
    assert!(!got.contains("HTTP/1.1 400"), "{got}");
}
