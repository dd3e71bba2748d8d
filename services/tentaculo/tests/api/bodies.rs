//! Request bodies: their limits, and that they go through as they are.

use futures_util::{StreamExt, stream};
use tokio::io::AsyncWriteExt;

use crate::edge::{Answer, Edge, PATIENCE, read_head, read_to_end, request};
use crate::service::{Act, Service, answer};

const SMALL_LIMITS: [(&str, &str); 2] =
    [("VX11_TENTACULO__MAX_BODY", "100000"), ("VX11_TENTACULO__MAX_MODEL_BODY", "200000")];

fn in_chunks(text: &str) -> reqwest::Body {
    let pieces: Vec<_> = text.as_bytes().chunks(30_000).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect();
    reqwest::Body::wrap_stream(stream::iter(pieces))
}

#[tokio::test]
async fn a_body_goes_through_as_it_is() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &SMALL_LIMITS).await;
    for size in [0, 1, 70_000, 100_000] {
        let text = "é\0x".repeat(size / 4) + &"y".repeat(size % 4);
        for chunked in [false, true] {
            let body = if chunked { in_chunks(&text) } else { text.clone().into() };
            assert_eq!(Answer::of(edge.post("/operator/api/chat", body)).await.status, 200, "{size} {chunked}");
            let seen = service.last();
            let (head, body) = seen.split_once("\r\n\r\n").unwrap();
            if head.contains("chunked") {
                assert!(body.len() > size, "{size}");
            } else {
                assert_eq!(body, text, "{size} {chunked}");
            }
        }
    }
}

#[tokio::test]
async fn too_large_a_body_is_refused_declared_or_not() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &SMALL_LIMITS).await;
    for (path, size) in [("/operator/api/chat", 100_001), ("/madre/chat", 100_001), ("/v1/chat/completions", 200_001)] {
        let text = "x".repeat(size);
        for (kind, body) in [("declared", text.clone().into()), ("chunked", in_chunks(&text))] {
            let got = Answer::of(edge.post(path, body)).await;
            assert_eq!(got.refusal(), (413, "payload_too_large".to_owned()), "{path} {kind}");
        }
        assert!(service.requests().is_empty(), "no whole request reached the service");
    }
    assert_eq!(Answer::of(edge.post("/v1/chat/completions", "x".repeat(200_000))).await.status, 200);
    assert_eq!(edge.circuit("operator").await, "closed", "callers' faults say nothing about the service");
}

#[tokio::test]
async fn a_declared_length_is_refused_before_the_body_is_sent() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &SMALL_LIMITS).await;
    let length = u64::MAX.to_string();
    let got = edge.raw(&["POST /operator/api/chat HTTP/1.1", &format!("content-length: {length}")], "").await;
    assert!(got.starts_with("HTTP/1.1 413"), "{got}");
    assert!(got.contains("payload_too_large"), "{got}");
}

#[tokio::test]
async fn a_body_that_stops_coming_is_given_up() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_TENTACULO__ANSWER_TIMEOUT", "300ms")]).await;
    for length in ["content-length: 10", "content-length: 90000", "transfer-encoding: chunked"] {
        let mut connection = edge.connect().await;
        connection.write_all(&request(&["POST /operator/api/chat HTTP/1.1", length])).await.unwrap();
        let body = if length.contains("chunked") { "3\r\nabc\r\n" } else { "abc" };
        connection.write_all(body.as_bytes()).await.unwrap();
        let got = read_to_end(&mut connection).await;
        assert!(got.starts_with("HTTP/1.1 400") || got.starts_with("HTTP/1.1 504"), "{length}: {got}");
    }
    assert_eq!(edge.circuit("operator").await, "closed", "callers' faults say nothing about the service");
}

#[tokio::test]
async fn a_slow_sender_does_not_take_the_probe_of_an_ill_service() {
    let service =
        Service::start(|number| if number == 0 { vec![Act::Reset] } else { vec![answer(200, "", "ok")] }).await;
    let circuit = [("VX11_TENTACULO__CIRCUIT__FAILURE_THRESHOLD", "1"), ("VX11_TENTACULO__CIRCUIT__OPEN_FOR", "0s")];
    let edge = Edge::in_front_of(&service.url, &circuit).await;
    assert_eq!(Answer::of(edge.post("/operator/api/chat", "{}")).await.status, 502);
    assert_eq!(edge.circuit("operator").await, "half_open");
    let mut slow = edge.connect().await;
    let head = ["POST /operator/api/chat HTTP/1.1", "content-length: 10", "expect: 100-continue"];
    slow.write_all(&request(&head)).await.unwrap();
    assert!(read_head(&mut slow).await.starts_with("HTTP/1.1 100"), "the slow one's turn has come");
    slow.write_all(b"a").await.unwrap();
    assert_eq!(Answer::of(edge.post("/operator/api/chat", "{}")).await.status, 200);
}

#[tokio::test]
async fn a_body_is_taken_no_faster_than_the_service_reads_it() {
    let service = Service::always([answer(200, "", "ok")]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body = stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) });
    let answered = tokio::spawn(edge.post("/v1/files", reqwest::Body::wrap_stream(body.boxed())).send());
    for _ in 0..20 {
        tokio::time::timeout(PATIENCE, sender.send(Ok(vec![b'x'; 1000]))).await.unwrap().unwrap();
    }
    drop(sender);
    assert_eq!(answered.await.unwrap().unwrap().status(), 200);
    assert!(service.last().contains("transfer-encoding: chunked"));
}

#[tokio::test]
async fn a_client_that_waits_for_leave_to_send_gets_it() {
    let service = Service::well().await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = edge.raw(&["POST /operator/api/chat HTTP/1.1", "expect: 100-continue", "content-length: 2"], "{}").await;
    assert!(got.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200"), "{got}");
    assert!(service.header("expect").is_empty(), "it is between the client and the edge");
}
