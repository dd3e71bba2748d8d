//! What is no clean HTTP never reaches a service.

use tokio::io::AsyncWriteExt;

use crate::edge::{Answer, Edge, read_to_end, request};
use crate::service::Service;

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("no answer")
}

#[tokio::test]
async fn a_request_with_two_readings_is_refused() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let chunked = "0\r\n\r\n";
    for (lines, body) in [
        (&["content-length: 5", "transfer-encoding: chunked"][..], chunked),
        (&["transfer-encoding: chunked", "content-length: 5"], chunked),
        (&["content-length: 2", "content-length: 3"], "{}x"),
        (&["content-length: 2", "content-length: 2"], "{}"),
        (&["content-length: 2, 3"], "{}x"),
        (&["content-length: +2"], "{}"),
        (&["content-length: -2"], "{}"),
        (&["content-length: 0x2"], "{}"),
        (&["content-length: 99999999999999999999999999"], "{}"),
        (&["content-length : 2"], "{}"),
        (&["transfer-encoding: gzip, chunked"], chunked),
        (&["transfer-encoding: chunked, identity"], chunked),
        (&["transfer-encoding: xchunked"], chunked),
        (&["transfer-encoding: chunked", "transfer-encoding: chunked"], chunked),
        (&["transfer-encoding: chunked", "transfer-encoding: identity"], chunked),
        (&["transfer-encoding:\u{b}chunked"], chunked),
        (&["transfer-encoding : chunked"], chunked),
        (&["x: y\r\n folded: 1"], ""),
        (&["x\0y: 1"], ""),
        (&["x: a\0b"], ""),
        (&["x: a\rb"], ""),
        (&["host: one", "host: two"], ""),
    ] {
        let lines = [&["POST /operator/api/chat HTTP/1.1"], lines].concat();
        let got = edge.raw(&lines, body).await;
        assert_eq!(status(&got), "400", "{lines:?}: {got}");
    }
    assert_eq!(service.requests(), [""; 0]);
}

#[tokio::test]
async fn a_request_hidden_in_a_body_stays_a_body() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let hidden = "GET /madre/secret HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunk = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    for (length, body) in [
        (format!("content-length: {}", hidden.len()), hidden.to_owned()),
        ("transfer-encoding: chunked".to_owned(), chunk),
    ] {
        let got = edge.raw(&["POST /operator/api/chat HTTP/1.1", &length], body).await;
        assert_eq!((status(&got), got.matches("HTTP/1.1 ").count()), ("200", 1), "{got}");
        assert!(service.last().contains(hidden));
    }
    let got = edge.raw(&["GET /operator/x HTTP/1.1", "transfer-encoding: chunked"], "5\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(status(&got), "200", "{got}");
    assert_eq!(service.requests().len(), 3);
}

#[tokio::test]
async fn chunks_off_their_grammar_are_refused() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for body in [
        "zz\r\nhello\r\n0\r\n\r\n",
        "-1\r\nx\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nx\r\n0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
    ] {
        let got = edge.raw(&["POST /operator/api/chat HTTP/1.1", "transfer-encoding: chunked"], body).await;
        assert!(["400", "no answer"].contains(&status(&got)), "{body:?}: {got}");
    }
    assert_eq!(service.requests(), [""; 0]);
    assert_eq!(edge.circuit("operator").await, "closed");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_refused_in_the_request_line() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for line in [
        &b"GET /operator/\xff\xfe HTTP/1.1"[..],
        b"GET /operator/a b HTTP/1.1",
        b"GET /operator/\0 HTTP/1.1",
        b"G\xffT /operator HTTP/1.1",
        b"GET  HTTP/1.1",
        b"GET /operator HTTP/9.9",
        b"\x16\x03\x01\x02\x00\x01",
    ] {
        let mut connection = edge.connect().await;
        connection.write_all(&[line, b"\r\nhost: edge\r\nconnection: close\r\n\r\n"].concat()).await.unwrap();
        let got = read_to_end(&mut connection).await;
        assert_eq!(status(&got), "400", "{:?}: {got}", String::from_utf8_lossy(line));
    }
    assert_eq!(service.requests(), [""; 0]);
    for encoded in ["%ff%fe", "%00", "caf%C3%A9", "%F0%9F%90%99"] {
        let got = Answer::of(edge.get(&format!("/operator/{encoded}?q={encoded}"))).await;
        assert_eq!(got.status, 200, "{encoded}");
        assert!(service.last().starts_with(&format!("GET /operator/{encoded}?q={encoded} ")), "{}", service.last());
    }
}

#[tokio::test]
async fn huge_heads_are_refused_and_the_edge_lives_on() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_HTTP__REQUEST_HEAD_TIMEOUT", "3s")]).await;
    let big = format!("x-big: {}", "x".repeat(60_000));
    assert_eq!(status(&edge.raw(&["GET /operator/x HTTP/1.1", &big], "").await), "200", "large, but bearable");
    let many: Vec<String> = (0..200).map(|n| format!("x-{n}: 1")).collect();
    let many = [&["GET /operator/x HTTP/1.1"], &many.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat();
    let huge = format!("x-big: {}", "x".repeat(300_000));
    let long = format!("GET /operator/{} HTTP/1.1", "x".repeat(300_000));
    for lines in [&many[..], &["GET /operator/x HTTP/1.1", &huge], &[&long]] {
        let mut connection = edge.connect().await;
        // The edge may hang up before it has read everything.
        let _ = connection.write_all(&request(lines)).await;
        let got = read_to_end(&mut connection).await;
        assert!(["400", "414", "431", "no answer"].contains(&status(&got)), "{got}");
    }
    assert_eq!(service.requests().len(), 1);
    assert_eq!(Answer::of(edge.get("/operator/x")).await.status, 200);
}

#[tokio::test]
async fn a_head_that_does_not_come_is_not_waited_for() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_HTTP__REQUEST_HEAD_TIMEOUT", "300ms")]).await;
    let mut connection = edge.connect().await;
    connection.write_all(b"GET /operator/x HTTP/1.1\r\nhost: e").await.unwrap();
    let got = read_to_end(&mut connection).await;
    assert!(["408", "no answer"].contains(&status(&got)), "{got}");
}

#[tokio::test]
async fn methods_that_turn_a_proxy_against_itself_are_refused() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for line in ["CONNECT /operator/x HTTP/1.1", "CONNECT madre:8001 HTTP/1.1", "TRACE /operator/x HTTP/1.1"] {
        let got = edge.raw(&[line], "").await;
        assert!(["400", "404", "405"].contains(&status(&got)), "{line}: {got}");
    }
    assert_eq!(service.requests(), [""; 0]);
    for method in ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "X-OWN"] {
        let got = edge.raw(&[&format!("{method} /operator/x HTTP/1.1")], "").await;
        assert_eq!(status(&got), "200", "{method}: {got}");
        assert!(service.last().starts_with(&format!("{method} /operator/x ")), "{}", service.last());
    }
}

#[tokio::test]
async fn an_old_client_is_served_too() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = edge.raw(&["GET /operator/x HTTP/1.0"], "").await;
    assert!(got.contains(" 200 ") && got.ends_with("\r\n\r\nok"), "{got}");
}
