//! Answers go through as they come, and never end silently short.

use futures_util::StreamExt;
use reqwest::Response;

use crate::edge::{Answer, Edge, PATIENCE, eventually};
use crate::service::{Act, Service, answer, chunk, chunked_head, gate, last_chunk};

async fn next(response: &mut Response) -> Option<String> {
    let chunk = tokio::time::timeout(PATIENCE, response.chunk()).await.expect("something comes").unwrap()?;
    Some(String::from_utf8(chunk.to_vec()).unwrap())
}

#[tokio::test]
async fn the_first_chunk_arrives_while_the_service_holds_the_second() {
    let (gate, wait) = gate();
    let script = [
        chunked_head("content-type: text/event-stream\r\ncache-control: no-cache\r\nx-vx11-provider: p\r\n"),
        chunk("data: one\n\n"),
        wait,
        chunk("data: two\n\n"),
        last_chunk(),
    ];
    let service = Service::always(script).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    for path in ["/operator/api/events", "/v1/chat/completions"] {
        let mut response = edge.post(path, r#"{"stream":true}"#).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.headers()["x-vx11-provider"], "p");
        assert_eq!(next(&mut response).await.as_deref(), Some("data: one\n\n"));
        gate.add_permits(1);
        assert_eq!(next(&mut response).await.as_deref(), Some("data: two\n\n"));
        assert_eq!(next(&mut response).await, None);
    }
}

#[tokio::test]
async fn the_head_arrives_before_any_chunk() {
    let (gate, wait) = gate();
    let service = Service::always([chunked_head(""), wait, chunk("x"), last_chunk()]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let mut response = edge.get("/operator/api/events").send().await.unwrap();
    gate.add_permits(1);
    assert_eq!(next(&mut response).await.as_deref(), Some("x"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_taken_for_a_whole_one() {
    let length = Act::Say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello".to_owned());
    for (kind, acts) in [
        ("chunked, closed", vec![chunked_head(""), chunk("hello"), Act::Close]),
        ("chunked, reset", vec![chunked_head(""), chunk("hello"), Act::Reset]),
        ("with a length", vec![length, Act::Close]),
        ("off the chunk grammar", vec![chunked_head(""), chunk("hello"), Act::Say("zz\r\n".to_owned()), Act::Close]),
    ] {
        let service = Service::always(acts).await;
        let edge = Edge::in_front_of(&service.url, &[]).await;
        let response = edge.get("/operator/api/status").send().await;
        let read = match response {
            Ok(response) => response.text().await,
            Err(error) => Err(error),
        };
        assert!(read.is_err(), "{kind}: {read:?}");
    }
}

#[tokio::test]
async fn a_silent_answer_is_broken_off() {
    let service = Service::always([chunked_head(""), chunk("hello"), Act::Wait]).await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_TENTACULO__IDLE_TIMEOUT", "1s")]).await;
    let mut response = edge.get("/operator/api/events").send().await.unwrap();
    assert_eq!(next(&mut response).await.as_deref(), Some("hello"));
    assert!(response.chunk().await.is_err());
    eventually("the service's connection is closed too", async || service.hung_up() == 1).await;
}

#[tokio::test]
async fn an_answer_whose_end_is_the_connections_goes_through() {
    let head = Act::Say("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_owned());
    let service = Service::always([head, Act::Say("to the end".to_owned()), Act::Close]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    assert_eq!(Answer::of(edge.get("/operator/api/status")).await.body, "to the end");
}

#[tokio::test]
async fn a_large_answer_goes_through_whole() {
    let text = "0123456789".repeat(300_000);
    let service = Service::always([answer(200, "", &text)]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let got = Answer::of(edge.get("/operator/api/audit")).await;
    assert_eq!((got.header("content-length"), got.body == text), ("3000000", true));
}

#[tokio::test]
async fn many_streams_run_side_by_side() {
    let (gate, wait) = gate();
    let service = Service::always([chunked_head(""), chunk("a"), wait, chunk("b"), last_chunk()]).await;
    let edge = Edge::in_front_of(&service.url, &[]).await;
    let opened = futures_util::stream::iter(0..50).map(|_| edge.get("/v1/stream").send()).buffer_unordered(50);
    let mut open: Vec<Response> = opened.map(Result::unwrap).collect().await;
    for response in &mut open {
        assert_eq!(next(response).await.as_deref(), Some("a"));
    }
    gate.add_permits(50);
    for response in &mut open {
        assert_eq!(next(response).await.as_deref(), Some("b"));
    }
}

#[tokio::test]
async fn a_stopping_edge_ends_what_would_be_followed_for_ever() {
    let (_gate, wait) = gate();
    let script = [chunked_head("content-type: text/event-stream\r\n"), chunk("data: one\n\n"), wait];
    let service = Service::always(script).await;
    let edge = Edge::in_front_of(&service.url, &[("VX11_HTTP__DRAIN_TIMEOUT", "1h")]).await;
    let mut response = edge.get("/operator/api/events?follow=true").send().await.unwrap();
    assert_eq!(next(&mut response).await.as_deref(), Some("data: one\n\n"));
    edge.shut_down();
    assert_eq!(next(&mut response).await, None, "it has an end");
    edge.stopped().await;
}
