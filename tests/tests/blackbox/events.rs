//! The event stream: everything once, in order, from wherever a client left off.

use futures_util::StreamExt;
use reqwest::Method;
use vx11_tests::{Caller, Chain, send};

/// Reads a followed stream until `wanted` ids have come.
async fn ids(operator: &Caller, after: Option<i64>, wanted: usize) -> Vec<i64> {
    let mut request = operator.request(Method::GET, "/operator/api/events?follow=true");
    if let Some(id) = after {
        request = request.header("last-event-id", id);
    }
    let response = request.send().await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.bytes_stream();
    let mut text = String::new();
    loop {
        let whole = &text[..text.rfind("\n\n").unwrap_or(0)];
        let ids: Vec<i64> = whole.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect();
        if ids.len() >= wanted {
            return ids;
        }
        text += &String::from_utf8_lossy(&body.next().await.expect("more").expect("whole"));
    }
}

#[tokio::test]
async fn a_stream_resumes_without_a_gap_or_a_repeat_while_rows_are_written() {
    let chain = Chain::start().expect("starts");
    let operator = chain.call("operator");
    let writing = operator.clone();
    let writer = tokio::spawn(async move {
        for n in 0..120 {
            assert_eq!(writing.chat(&format!("echo: {n}")).await.status, 200);
        }
    });
    let mut seen = ids(&operator, Some(0), 20).await;
    while seen.len() < 120 {
        let more = ids(&operator, seen.last().copied(), 15.min(120 - seen.len())).await;
        seen.extend(more);
    }
    writer.await.expect("no panic");
    let first = seen[0];
    let expected: Vec<i64> = (first..first + seen.len() as i64).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_stream_token_opens_the_stream_and_nothing_else() {
    let chain = Chain::start().expect("starts");
    assert_eq!(chain.edge().chat("Hello").await.status, 200);
    let token = chain.edge().post("/operator/api/events/sse-token", &serde_json::json!({})).await;
    assert_eq!(token.body["data"]["ttl_sec"], 60);
    let token = token.body["data"]["sse_token"].as_str().expect("a token").to_owned();
    let anyone = chain.edge().with_token(None);
    let events = anyone.get(&format!("/operator/api/events?token={token}")).await;
    assert!(events.status == 200 && events.body.as_str().is_some_and(|text| text.contains("event: copilot_action")));
    assert_eq!(anyone.get(&format!("/operator/api/sessions?token={token}")).await.code(), "missing_token");
    assert_eq!(anyone.get(&format!("/operator/api/events?token=9{token}")).await.code(), "invalid_token");
    let post = anyone.request(Method::POST, &format!("/operator/api/chat?token={token}"));
    assert_eq!(send(post).await.expect("an answer").code(), "missing_token");
}
