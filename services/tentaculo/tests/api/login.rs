//! People who log in have no token yet; and public keys are public.

use reqwest::Method;

use crate::edge::{Answer, Edge, TOKEN};
use crate::service::{Service, answer};

const PROXIED: (&str, &str) = ("VX11_TENTACULO__TRUSTED_PROXIES", r#"["127.0.0.1"]"#);

#[tokio::test]
async fn who_logs_in_is_passed_on_with_cookies_and_without_the_token() {
    let lines = "location: https://id.example/authorize?a=b\r\nset-cookie: a=1; HttpOnly\r\nset-cookie: b=2; Secure\r\n\
                 cache-control: no-store\r\n";
    let service = Service::always([answer(302, lines, "")]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for (method, path) in [
        (Method::GET, "/operator/api/auth/providers"),
        (Method::GET, "/operator/api/auth/login/github?return_to=%2Fa"),
        (Method::GET, "/operator/api/auth/callback/github?code=a&state=b"),
        (Method::POST, "/operator/api/auth/refresh"),
        (Method::GET, "/operator/api/jwks"),
        (Method::GET, "/.well-known/jwks.json"),
    ] {
        let request = edge.stranger(method, path).header("cookie", "vx11_refresh=t; other=u");
        let got =
            Answer::of(request.header("origin", "https://vx11.example").header("sec-fetch-site", "same-origin")).await;
        assert_eq!((got.status, got.header("location")), (302, "https://id.example/authorize?a=b"), "{path}");
        let cookies: Vec<_> = got.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1; HttpOnly", "b=2; Secure"]);
        assert_eq!(got.header("cache-control"), "no-store");
        assert!(service.last().contains(path), "{}", service.last());
        assert!(!service.last().contains(TOKEN), "nobody is lent it: {}", service.last());
        assert_eq!(service.header("cookie"), ["vx11_refresh=t; other=u"]);
        assert_eq!(service.header("origin"), ["https://vx11.example"]);
        assert_eq!(service.header("sec-fetch-site"), ["same-origin"]);
    }
    // An access token, too, goes on as it came: it ends with the session.
    let token = "eyJhbGciOiJFZERTQSJ9.e30.AAAA";
    let leaving = edge.stranger(Method::POST, "/operator/api/auth/logout").bearer_auth(token);
    assert_eq!(Answer::of(leaving).await.status, 302);
    assert_eq!(service.header("authorization"), [format!("Bearer {token}")]);
}

#[tokio::test]
async fn nothing_beside_these_addresses_is_open() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for (method, path) in [
        (Method::GET, "/operator/api/authx"),
        (Method::GET, "/operator/api/auth"),
        (Method::GET, "/operator/api/sessions"),
        (Method::POST, "/operator/api/jwks"),
        (Method::DELETE, "/operator/api/auth/login"),
        (Method::PUT, "/operator/api/auth/login"),
        (Method::GET, "/.well-known/jwks.json/x"),
    ] {
        let got = Answer::of(edge.stranger(method, path)).await;
        assert_eq!(got.status, 401, "{path}");
    }
    assert!(service.requests().is_empty());
    let climbing = edge.raw(&["GET /operator/api/auth/%2e%2e/status HTTP/1.1", "connection: close"], "").await;
    assert!(climbing.starts_with("HTTP/1.1 400"), "{climbing}");
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn the_edge_alone_says_from_where_somebody_logs_in() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let log_in = |edge: &Edge| {
        edge.stranger(Method::POST, "/operator/api/auth/login").header("x-vx11-client-address", "6.6.6.6")
    };
    assert_eq!(Answer::of(log_in(&edge).header("x-forwarded-for", "6.6.6.6")).await.status, 200);
    assert_eq!(service.header("x-vx11-client-address"), ["127.0.0.1"]);
    let behind = Edge::in_front_of(&service.url, &[PROXIED]).await;
    assert_eq!(Answer::of(log_in(&behind).header("x-forwarded-for", "6.6.6.6, 9.9.9.9")).await.status, 200);
    assert_eq!(service.header("x-vx11-client-address"), ["9.9.9.9"]);
    let elsewhere = edge.get("/operator/api/status").header("x-vx11-client-address", "6.6.6.6");
    assert_eq!(Answer::of(elsewhere).await.status, 200);
    assert_eq!(service.header("x-vx11-client-address"), [""; 0]);
}
