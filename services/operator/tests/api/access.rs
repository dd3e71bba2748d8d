//! Who may come in, what is where, and how a request is named.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::app::{Answer, App, TOKEN};

/// The document that is checked in.
fn document() -> Value {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto-free-contracts/openapi/operator.json");
    serde_json::from_str(&std::fs::read_to_string(file).expect("a file")).expect("JSON")
}

/// Every address of the document, with its methods in capitals.
fn addresses() -> Vec<(String, Vec<String>)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| item.as_object().expect("methods").keys().map(|name| name.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.replace(['{', '}'], ""), methods(item))).collect()
}

#[tokio::test]
async fn every_address_but_the_public_ones_asks_for_the_token() {
    let app = App::start().await;
    // Public keys are public, and who logs in has no token yet.
    let is_open = |path: &str| path == "/operator/api/jwks" || path.starts_with("/operator/api/auth/");
    let closed = |path: &str| path.starts_with("/operator/") && !is_open(path);
    for (path, methods) in addresses().iter().filter(|(path, _)| closed(path)) {
        let method: Method = methods[0].parse().expect("a method");
        let missing = Answer::of(app.anyone(method.clone(), path)).await;
        assert_eq!((missing.status, missing.code()), (401, "missing_token"), "{path}");
        for (header, value) in [("x-vx11-token", "wrong"), ("authorization", "Bearer wrong"), ("x-vx11-token", "")] {
            let wrong = Answer::of(app.anyone(method.clone(), path).header(header, value)).await;
            assert_eq!((wrong.status, wrong.code()), (403, "invalid_token"), "{path}");
            assert_eq!(wrong.correlation_id(), wrong.header("x-correlation-id"));
        }
    }
    let bearer = app.anyone(Method::GET, "/operator/api/sessions").bearer_auth(TOKEN);
    assert_eq!(Answer::of(bearer).await.status, 200);
    for public in ["/health", "/ready", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(Answer::of(app.anyone(Method::GET, public)).await.status, 200, "{public}");
    }
}

#[tokio::test]
async fn an_unknown_address_is_told_from_a_method_that_an_address_does_not_have() {
    let app = App::start().await;
    for (path, methods) in addresses() {
        for other in
            ["DELETE", "PATCH", "PUT", "OPTIONS"].into_iter().filter(|other| !methods.iter().any(|m| m == other))
        {
            let answer = Answer::of(app.request(other.parse().expect("a method"), &path)).await;
            assert_eq!((answer.status, answer.code()), (405, "method_not_allowed"), "{other} {path}: {}", answer.body);
            // In whichever order.
            let (allow, methods): (BTreeSet<_>, BTreeSet<_>) =
                (answer.header("allow").split(", ").collect(), methods.iter().map(String::as_str).collect());
            assert_eq!(allow, methods, "{path}");
        }
    }
    let get = app.get("/operator/api/chat").await;
    assert_eq!((get.status, get.header("allow")), (405, "POST"));
    for nowhere in ["/operator/api/nowhere", "/operator/api/sessions/a/b", "/operator/api/", "/nowhere"] {
        let answer = app.get(nowhere).await;
        assert_eq!((answer.status, answer.code(), answer.header("allow")), (404, "not_found", ""), "{nowhere}");
    }
}

#[tokio::test]
async fn the_document_that_is_served_is_the_one_that_is_checked_in_and_the_addresses_are_real() {
    let app = App::start().await;
    assert!(app.get("/openapi.json").await.json() == document(), "run `make contracts`");
    let mut names = BTreeSet::new();
    for (method, operation) in
        document()["paths"].as_object().expect("paths").values().flat_map(|item| item.as_object()).flatten()
    {
        let name = operation["operationId"].as_str().expect("a name");
        assert!(names.insert(name.to_owned()), "two operations are called {name}: {method}");
    }
    for (path, methods) in addresses().iter().filter(|(_, methods)| methods.contains(&"GET".to_owned())) {
        let answer = app.get(path).await;
        assert_ne!(answer["detail"], "no such address", "{methods:?} {path}");
    }
}

#[tokio::test]
async fn the_configuration_names_every_endpoint_and_no_secret() {
    let app = App::with(&[("VX11_TENTACULO_URL", "http://someone:hunter2@127.0.0.1:9/base?key=hunter3")]).await;
    let answer = app.get("/operator/api/config").await;
    let data = answer.data();
    assert_eq!(data["operator"]["chat"]["rate_limit"], 10);
    assert_eq!(data["services"]["tentaculo"], "http://127.0.0.1:9/base");
    let endpoints = data["endpoints"].as_array().expect("a list");
    assert!(endpoints.contains(&json!("/operator/api/chat")), "{endpoints:?}");
    for secret in [TOKEN, "hunter2", "hunter3"] {
        assert!(!answer.body.contains(secret), "{secret}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_fit_correlation_id_is_echoed_and_an_unfit_one_replaced() {
    let app = App::start().await;
    let sent = async |id: &str| {
        let request = app.chat_request(&json!({ "message": "hello" })).header("x-correlation-id", id);
        Answer::of(request).await
    };
    for fit in ["c-1", "!~", &"x".repeat(128), "<script>\"'&%00"] {
        let answer = sent(fit).await;
        assert_eq!((answer.correlation_id(), answer.header("x-correlation-id")), (fit, fit));
    }
    for unfit in ["", "two words", &"x".repeat(129)] {
        let answer = sent(unfit).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.correlation_id().len(), "2f1c8c1e-0000-4000-8000-000000000000".len(), "{unfit}");
        assert_eq!(answer.correlation_id(), answer.header("x-correlation-id"));
    }
}

#[tokio::test]
async fn the_bodys_correlation_id_goes_before_the_headers_in_refusals_too() {
    let app = App::with(&[("VX11_OPERATOR__CHAT__RATE_LIMIT", "1")]).await;
    let body = json!({ "message": "hello", "session_id": "s", "correlation_id": "from-the-body" });
    for status in [200, 429] {
        let request = app.chat_request(&body).header("x-correlation-id", "from-the-header");
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.correlation_id(), "from-the-body");
        assert_eq!(answer.header("x-correlation-id"), "from-the-body");
    }
}

/// What the server says to these bytes, until it hangs up.
async fn raw(app: &App, bytes: &[u8]) -> String {
    let mut stream = tokio::net::TcpStream::connect(app.address()).await.expect("connects");
    // The server may hang up before it has read everything.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_line_break_cannot_be_smuggled_through_a_correlation_id() {
    let app = App::start().await;
    let smuggled = app.chat(json!({ "message": "hello", "correlation_id": "c\r\nset-cookie: owned=1" })).await;
    assert_eq!((smuggled.status, smuggled.field()), (422, "correlation_id"));
    let head = format!("POST /operator/api/chat HTTP/1.1\r\nhost: x\r\nx-vx11-token: {TOKEN}\r\nconnection: close\r\n");
    for id in ["c\rset-cookie: owned=1", "c\nset-cookie: owned=1", "c\0d", "c\r\n set-cookie: owned=1"] {
        let request = format!("{head}x-correlation-id: {id}\r\ncontent-length: 17\r\n\r\n{{\"message\": \"hi\"}}");
        let answer = raw(&app, request.as_bytes()).await;
        assert!(!answer.to_ascii_lowercase().contains("\r\nset-cookie"), "{id:?}: {answer}");
        assert!(!answer.starts_with("HTTP/1.1 5"), "{id:?}: {answer}");
    }
}

#[tokio::test]
async fn huge_headers_are_refused_and_the_service_goes_on() {
    let app = App::start().await;
    let filler = format!("x-filler: {}\r\n", "a".repeat(1024)).repeat(300);
    let answer = raw(&app, format!("GET /health HTTP/1.1\r\nhost: x\r\n{filler}\r\n").as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(app.get("/health").await["module"], "operator");
}
