//! Headers on their way in and out.

use serde_json::Value;

use tokio::io::AsyncWriteExt;

use crate::edge::{Answer, Edge, TOKEN, read_head, read_to_end, request};
use crate::service::{Act, Service, answer};

const PROXIED: (&str, &str) = ("VX11_TENTACULO__TRUSTED_PROXIES", r#"["127.0.0.1"]"#);

#[tokio::test]
async fn headers_of_one_connection_go_no_further() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = edge
        .raw(
            &[
                "GET /operator/api/status HTTP/1.1",
                "connection: close, x-secret, x-vx11-token, x-correlation-id",
                "x-secret: mine",
                "x-correlation-id: corr-1",
                "keep-alive: timeout=5",
                "proxy-connection: keep-alive",
                "proxy-authorization: Basic eA==",
                "te: trailers",
                "trailer: x-end",
                "x-kept: as it is",
                "x-twice: one",
                "x-twice: two",
                "cookie: a=b",
            ],
            "",
        )
        .await;
    assert!(got.starts_with("HTTP/1.1 200"), "{got}");
    for name in ["x-secret", "keep-alive", "proxy-connection", "proxy-authorization", "te", "trailer", "connection"] {
        assert!(service.header(name).is_empty(), "{name}: {}", service.last());
    }
    assert_eq!(service.header("x-kept"), ["as it is"]);
    assert_eq!(service.header("x-twice"), ["one", "two"]);
    assert_eq!(service.header("cookie"), ["a=b"]);
    // What the edge itself says cannot be struck out.
    assert_eq!(service.header("x-vx11-token"), [TOKEN]);
    assert_eq!(service.header("x-correlation-id"), ["corr-1"]);
}

#[tokio::test]
async fn the_answers_connection_headers_stay_at_the_edge() {
    let lines = "connection: keep-alive, x-hop\r\nkeep-alive: timeout=5\r\nx-hop: 1\r\nproxy-authenticate: Basic\r\nx-kept: 1\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n";
    let service = Service::always([answer(200, lines, "ok")]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = Answer::of(edge.get("/operator/api/status")).await;
    for name in ["connection", "keep-alive", "x-hop", "proxy-authenticate"] {
        assert_eq!(got.header(name), "", "{name}");
    }
    assert_eq!(got.header("x-kept"), "1");
    let cookies: Vec<_> = got.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
}

#[tokio::test]
async fn the_clients_token_is_replaced_and_its_host_is_told() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    Answer::of(edge.get("/operator/api/status").header("host", "vx11.example")).await;
    assert_eq!(service.header("x-vx11-token"), [TOKEN]);
    assert!(service.header("authorization").is_empty());
    assert_eq!(service.header("host"), [service.url.trim_start_matches("http://")]);
    assert_eq!(service.header("x-forwarded-host"), ["vx11.example"]);
    assert_eq!(service.header("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(service.header("x-forwarded-proto"), ["http"]);
}

#[tokio::test]
async fn who_asks_is_the_clients_to_say_where_it_does() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    edge.raw(&["GET /operator/api/status HTTP/1.1", "x-first: 1", "user-agent: curl/8", "x-last: 1"], "").await;
    assert_eq!(service.header("user-agent"), ["curl/8"]);
    for lines in [&[][..], &["user-agent: curl/8", "connection: close, user-agent"]] {
        edge.raw(&[&["GET /operator/api/status HTTP/1.1"], lines].concat(), "").await;
        assert_eq!(service.header("user-agent"), [concat!("vx11/", env!("CARGO_PKG_VERSION"))], "{lines:?}");
    }
}

#[tokio::test]
async fn only_a_trusted_proxy_is_believed_about_the_client() {
    let service = Service::well().await;
    for (variables, chain, host, proto) in
        [(&[][..], "127.0.0.1", "edge", "http"), (&[PROXIED][..], "6.6.6.6, 127.0.0.1", "vx11.example", "https")]
    {
        let edge = Edge::in_front_of(&service.url, variables).await;
        let request = edge
            .get("/operator/api/status")
            .header("host", "edge")
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-host", "vx11.example")
            .header("x-forwarded-proto", "https")
            .header("x-real-ip", "6.6.6.6")
            .header("forwarded", "for=6.6.6.6;proto=https");
        Answer::of(request).await;
        assert_eq!(service.header("x-forwarded-for"), [chain]);
        assert_eq!(service.header("x-forwarded-host"), [host]);
        assert_eq!(service.header("x-forwarded-proto"), [proto]);
        assert!(service.header("x-real-ip").is_empty() && service.header("forwarded").is_empty());
    }
}

#[tokio::test]
async fn the_correlation_id_goes_in_and_comes_out() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let ask = async |id: &str| {
        let got = Answer::of(edge.get("/operator/api/status").header("x-correlation-id", id)).await;
        let [seen] = service.header("x-correlation-id").try_into().expect("exactly one");
        assert_eq!(got.header("x-correlation-id"), seen);
        seen
    };
    assert_eq!(ask("corr-1").await, "corr-1");
    for unfit in ["", "two words", &"x".repeat(129)] {
        let made = ask(unfit).await;
        assert_eq!((made.len(), made.matches('-').count()), (36, 4), "a UUID: {made}");
    }
    let refused = Answer::of(edge.get("/nothing").header("x-correlation-id", "corr-2")).await;
    assert_eq!(
        (refused.header("x-correlation-id"), &refused.json()["correlation_id"]),
        ("corr-2", &Value::from("corr-2"))
    );
}

#[tokio::test]
async fn the_correlation_id_that_a_body_named_is_the_one_that_comes_out() {
    let service = Service::always([answer(200, "x-correlation-id: from-the-body\r\n", "ok")]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = Answer::of(edge.post("/operator/api/chat", r#"{"correlation_id":"from-the-body"}"#)).await;
    let ids: Vec<_> = got.headers.get_all("x-correlation-id").iter().collect();
    assert_eq!(ids, ["from-the-body"]);
}

#[tokio::test]
async fn the_trace_goes_on_under_the_callers() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = edge.get("/operator/api/status").header("traceparent", parent).header("tracestate", "vendor=x");
    Answer::of(request).await;
    let [seen] = service.header("traceparent").try_into().expect("exactly one");
    assert_eq!(seen[..36], parent[..36], "the same trace");
    assert_eq!(service.header("tracestate"), ["vendor=x"]);
    for broken in ["", "00-00000000000000000000000000000000-b7ad6b7169203331-01", "nonsense"] {
        Answer::of(edge.get("/operator/api/status").header("traceparent", broken)).await;
        let [made] = service.header("traceparent").try_into().expect("exactly one");
        assert!(made.len() == 55 && !made[3..35].chars().all(|digit| digit == '0'), "{broken}: {made}");
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_go_through_in_headers() {
    let service =
        Service::always([Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-name: caf\u{e9}\r\n\r\nok".to_owned())]);
    let service = service.await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = edge.raw(&["GET /operator/api/status HTTP/1.1", "x-name: caf\u{e9}"], "").await;
    assert!(got.contains("x-name: caf\u{e9}\r\n"), "{got}");
    assert_eq!(service.header("x-name"), ["caf\u{e9}"]);
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_in_order() {
    for (method, status) in [("HEAD", 200), ("HEAD", 404), ("HEAD", 503), ("GET", 204), ("GET", 304)] {
        let said = if status == 204 || status == 304 {
            Act::Say(format!("HTTP/1.1 {status} X\r\netag: \"a\"\r\n\r\n"))
        } else {
            Act::Say(format!("HTTP/1.1 {status} X\r\ncontent-length: 5\r\netag: \"a\"\r\n\r\n"))
        };
        let service = Service::always([said]).await;
        let edge = Edge::in_front_of(&service.url, &[]).await;
        let mut connection = edge.connect().await;
        let first = request(&[&format!("{method} /operator/x HTTP/1.1"), "connection: keep-alive"]);
        connection.write_all(&first).await.unwrap();
        let head = read_head(&mut connection).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && head.contains("etag: \"a\""), "{method}: {head}");
        connection.write_all(&request(&["GET /health HTTP/1.1"])).await.unwrap();
        let rest = read_to_end(&mut connection).await;
        assert!(rest.starts_with("HTTP/1.1 200 OK\r\n"), "{method} {status}: {rest}");
    }
}
