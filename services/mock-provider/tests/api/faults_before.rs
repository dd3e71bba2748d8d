//! Faults before an answer begins.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::mock::{Answer, Mock, eventually};

#[tokio::test]
async fn any_status_can_be_had_with_or_without_a_time_to_come_back() {
    let mock = Mock::start().await;
    for status in [200, 201, 400, 401, 402, 403, 404, 408, 409, 418, 422, 429, 451, 500, 501, 502, 503, 504, 529, 599] {
        let got = mock.faulty(&format!("status={status}")).await;
        assert_eq!(got.refusal(), (status, "mock_fault".to_owned()));
        assert_eq!((got.header("retry-after"), got.header("retry-after-ms")), ("", ""), "{status}");
    }
    for (status, kind) in [
        (401, "authentication_error"),
        (429, "rate_limit_error"),
        (503, "server_error"),
        (400, "invalid_request_error"),
    ] {
        assert_eq!(mock.faulty(&format!("status={status}")).await.json()["error"]["type"], kind);
    }
    let got = mock.faulty("status=429,retry_after=2,retry_after_ms=250").await;
    assert_eq!((got.header("retry-after"), got.header("retry-after-ms")), ("2", "250"));
    let streamed = mock.chat(json!({ "model": "mock+status=503", "stream": true })).await;
    assert_eq!((streamed.status, streamed.header("content-type")), (503, "application/json"));
}

#[tokio::test]
async fn a_status_without_a_body_leaves_the_connection_in_order() {
    let mock = Mock::start().await;
    for status in [204, 304] {
        assert_eq!(mock.faulty(&format!("status={status}")).await.body, "");
        assert_eq!(mock.chat(json!({})).await.status, 200, "on the same connection");
    }
}

#[tokio::test]
async fn latency_is_waited_for_also_before_another_fault() {
    let mock = Mock::start().await;
    let wait = Duration::from_millis(150);
    for (faults, stream, status) in
        [("latency=150ms", false, 200), ("latency=150ms", true, 200), ("latency=150ms,status=503", false, 503)]
    {
        let begun = Instant::now();
        let got = mock.chat(json!({ "model": format!("mock+{faults}"), "stream": stream })).await;
        assert_eq!(got.status, status);
        assert!(begun.elapsed() >= wait, "{faults}: {:?}", begun.elapsed());
        assert!(mock.last().await["duration_ms"].as_u64().unwrap() >= 150);
    }
}

#[tokio::test]
async fn a_span_of_latency_stays_within_its_bounds() {
    let mock = Mock::start().await;
    for _ in 0..5 {
        let begun = Instant::now();
        assert_eq!(mock.faulty("latency=30ms..60ms").await.status, 200);
        assert!(begun.elapsed() >= Duration::from_millis(30));
    }
    assert_eq!(mock.last().await["fault"], "latency=30ms..60ms");
}

#[tokio::test]
async fn a_reset_comes_before_any_byte() {
    let mock = Mock::start().await;
    for stream in [false, true] {
        let got = mock.raw(&json!({ "model": "mock+reset", "stream": stream })).await;
        assert_eq!(got, (String::new(), true), "stream {stream}");
        let last = mock.last().await;
        assert_eq!((&last["outcome"], &last["status"]), (&json!("reset"), &json!(0)));
    }
    assert_eq!(mock.chat(json!({})).await.status, 200, "the provider lives on");
}

#[tokio::test]
async fn a_hanging_request_gets_nothing_and_is_seen_to_leave() {
    let mock = Mock::start().await;
    for stream in [false, true] {
        let request = mock.completion(&json!({ "model": "mock+hang", "stream": stream }));
        let hanging = tokio::spawn(request.send());
        mock.wait_for_outcome("in_flight").await;
        assert!(!hanging.is_finished());
        hanging.abort();
        mock.wait_for_outcome("client_disconnected").await;
    }
}

#[tokio::test]
async fn stopping_ends_what_hangs() {
    let mock = Mock::start().await;
    let hanging = tokio::spawn(mock.completion(&json!({ "model": "mock+hang" })).send());
    mock.wait_for_outcome("in_flight").await;
    mock.shut_down();
    assert_eq!(hanging.await.unwrap().unwrap().status(), 503);
    mock.stopped().await;
}

#[tokio::test]
async fn a_page_or_nothing_can_come_in_place_of_json() {
    let mock = Mock::start().await;
    let page = mock.faulty("html").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html"));
    assert!(page.body.starts_with("<html>"));
    assert_eq!(mock.last().await["outcome"], "html");
    let empty = mock.faulty("empty").await;
    assert_eq!((empty.status, empty.body.as_str()), (200, ""));
    assert_eq!(mock.last().await["outcome"], "empty");
}

#[tokio::test]
async fn an_error_can_come_under_the_status_of_an_answer() {
    let mock = Mock::start().await;
    for stream in [false, true] {
        let got = mock.chat(json!({ "model": "mock+status=502,in_body", "stream": stream })).await;
        assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
        assert_eq!(got.json()["error"]["code"], 502);
    }
    assert_eq!(mock.last().await["outcome"], "error");
}

#[tokio::test]
async fn a_request_can_be_said_to_be_at_fault() {
    let mock = Mock::start().await;
    for (fault, code) in [("context_length", "context_length_exceeded"), ("content_filter", "content_filter")] {
        let got = mock.faulty(fault).await;
        assert_eq!(got.refusal(), (400, code.to_owned()));
        assert_eq!(got.json()["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn a_prompt_can_be_more_than_may_be_spent_in_a_minute() {
    let mock = Mock::start().await;
    let got = mock.faulty("tokens_per_minute").await;
    assert_eq!(got.refusal(), (413, "rate_limit_exceeded".to_owned()));
    let error = &got.json()["error"];
    assert!(error["message"].as_str().unwrap().starts_with("Request too large for model"), "{error}");
    assert_eq!(error["type"], "tokens");
}

#[tokio::test]
async fn a_slow_first_token_comes_after_the_head() {
    let mock = Mock::start().await;
    let begun = Instant::now();
    let request = mock.completion(&json!({ "model": "mock+first_token=200ms", "stream": true }));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.chunk().await.unwrap().expect("the first chunk");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    let begun = Instant::now();
    assert_eq!(mock.faulty("first_token=200ms").await.status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(200), "a whole answer waits as well");
}

#[tokio::test]
async fn requests_that_wait_do_not_keep_others_waiting() {
    let mock = Mock::start().await;
    let hanging: Vec<_> =
        (0..50).map(|_| tokio::spawn(mock.completion(&json!({ "model": "mock+hang" })).send())).collect();
    eventually("all of them hang", async || mock.log().await.len() == 50).await;
    assert_eq!(Answer::of(mock.completion(&json!({}))).await.status, 200);
    for request in hanging {
        request.abort();
    }
    let is_gone = |entry: &Value| entry["outcome"] != "in_flight";
    eventually("all of them are gone", async || mock.log().await.iter().all(is_gone)).await;
}
