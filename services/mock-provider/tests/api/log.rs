//! What the log says about a request.

use serde_json::json;

use crate::mock::{Answer, Mock};

#[tokio::test]
async fn an_entry_says_who_asked_what_and_how_it_ended() {
    let mock = Mock::start().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let request = mock.completion(&json!({ "model": "mock+latency=1ms", "n": 2 }));
    let request = request
        .header("x-correlation-id", "corr-1")
        .header("traceparent", trace)
        .header("x-vx11-deadline-ms", "5000")
        .bearer_auth("sk-secret");
    let usage = Answer::of(request).await.json()["usage"].clone();
    let entry = mock.last().await;
    for (field, value) in [
        ("id", json!(1)),
        ("path", json!("/v1/chat/completions")),
        ("wire", json!("openai")),
        ("model", json!("mock+latency=1ms")),
        ("stream", json!(false)),
        ("fault", json!("latency=1ms")),
        ("status", json!(200)),
        ("correlation_id", json!("corr-1")),
        ("traceparent", json!(trace)),
        ("deadline_ms", json!("5000")),
        ("messages", json!(1)),
        ("prompt_tokens", usage["prompt_tokens"].clone()),
        ("tokens_sent", usage["completion_tokens"].clone()),
        ("outcome", json!("completed")),
    ] {
        assert_eq!(entry[field], value, "{field}");
    }
    assert!(entry["timestamp"].as_str().unwrap().ends_with('Z'));
    assert!(!entry.to_string().contains("sk-secret"));
}

#[tokio::test]
async fn the_log_can_be_searched() {
    let mock = Mock::start().await;
    for (id, model) in [("a", "mock"), ("b", "mock"), ("a", "mock-large"), ("c", "mock+status=503")] {
        Answer::of(mock.completion(&json!({ "model": model })).header("x-correlation-id", id)).await;
    }
    let ids = async |query: &str| -> Vec<u64> {
        let list = Answer::of(mock.get(&format!("/admin/requests{query}"))).await.json();
        list.as_array().unwrap().iter().map(|entry| entry["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(ids("").await, [1, 2, 3, 4]);
    assert_eq!(ids("?correlation_id=a").await, [1, 3]);
    assert_eq!(ids("?correlation_id=a&model=mock").await, [1]);
    assert_eq!(ids("?model=mock%2Bstatus%3D503").await, [4]);
    assert_eq!(ids("?since=2").await, [3, 4]);
    assert_eq!(ids("?since=99&correlation_id=a").await, [0; 0]);
    let bad = Answer::of(mock.get("/admin/requests?since=soon")).await;
    assert_eq!(bad.status, 422, "{}", bad.body);
}

#[tokio::test]
async fn only_the_last_requests_are_kept_and_all_are_counted() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__LOG_CAPACITY", "3")]).await;
    for _ in 0..5 {
        mock.chat(json!({})).await;
    }
    let ids: Vec<_> = mock.log().await.iter().map(|entry| entry["id"].clone()).collect();
    assert_eq!(ids, [3, 4, 5]);
    assert_eq!(Answer::of(mock.get("/admin/requests/count")).await.json(), json!({ "count": 5 }));
}

#[tokio::test]
async fn a_request_that_outlives_its_entry_harms_no_other() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__LOG_CAPACITY", "1")]).await;
    let hanging = tokio::spawn(mock.completion(&json!({ "model": "mock+hang" })).send());
    mock.wait_for_outcome("in_flight").await;
    mock.chat(json!({})).await;
    hanging.abort();
    mock.chat(json!({ "model": "mock-large" })).await;
    let log = mock.log().await;
    assert_eq!((log.len(), &log[0]["model"], &log[0]["outcome"]), (1, &json!("mock-large"), &json!("completed")));
}
