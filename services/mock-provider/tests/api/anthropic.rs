//! What is Anthropic's own: its events, its headers, its checks.

use serde_json::{Value, json};

use crate::mock::{Answer, Mock, with};
use crate::wire::{Wire, user};

fn messages(mock: &Mock, fields: Value) -> reqwest::RequestBuilder {
    let plain = json!({ "model": "mock", "max_tokens": 100, "messages": [{ "role": "user", "content": "Hello" }] });
    mock.post("/v1/messages", with(plain, fields).to_string())
}

async fn refused(request: reqwest::RequestBuilder) -> (u16, String, String) {
    Wire::Anthropic.refusal(&Answer::of(request).await)
}

#[tokio::test]
async fn a_message_has_anthropics_shape() {
    let mock = Mock::start().await;
    let got = Wire::Anthropic.ask(&mock, &user("echo: one two"), "cached_tokens=3", false).await;
    let body = got.json();
    assert!(body["id"].as_str().unwrap().starts_with("msg_") && got.header("request-id").starts_with("req_"));
    assert_eq!(
        (&body["type"], &body["role"], &body["model"]),
        (&json!("message"), &json!("assistant"), &json!("mock"))
    );
    assert_eq!(body["content"], json!([{ "type": "text", "text": "one two" }]));
    assert_eq!((&body["stop_reason"], &body["stop_sequence"]), (&json!("end_turn"), &Value::Null));
    let usage = &body["usage"];
    assert_eq!((&usage["input_tokens"], &usage["output_tokens"]), (&json!(5), &json!(2)));
    assert_eq!((&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]), (&json!(3), &json!(0)));
    let stopped = Answer::of(
        messages(&mock, json!({ "stop_sequences": ["!", "answer"] })).header("anthropic-version", "2023-06-01"),
    )
    .await;
    assert_eq!(stopped.json()["stop_sequence"], "answer");
}

#[tokio::test]
async fn a_stream_has_anthropics_events_in_order() {
    let mock = Mock::start().await;
    let got = Wire::Anthropic.ask(&mock, &user("echo: one two"), "", true).await;
    assert!(got.header("content-type").starts_with("text/event-stream"));
    let events: Vec<(&str, Value)> = got
        .body
        .split_terminator("\n\n")
        .map(|event| event.split_once('\n').unwrap())
        .map(|(name, data)| {
            let data = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
            (name.strip_prefix("event: ").unwrap(), data)
        })
        .collect();
    let names: Vec<&str> = events.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "ping",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert!(events.iter().all(|(name, data)| data["type"] == *name));
    let message = &events[0].1["message"];
    assert_eq!((&message["content"], &message["stop_reason"]), (&json!([]), &Value::Null));
    assert_eq!((&message["usage"]["input_tokens"], &message["usage"]["output_tokens"]), (&json!(8), &json!(1)));
    assert_eq!(events[1].1["content_block"], json!({ "type": "text", "text": "" }));
    assert_eq!(events[3].1["delta"], json!({ "type": "text_delta", "text": "one" }));
    assert_eq!(events[6].1["usage"]["output_tokens"], 2);
}

#[tokio::test]
async fn each_block_of_a_stream_has_its_index_and_its_kind_of_deltas() {
    let mock = Mock::start().await;
    let mut scenario = user("call get_weather and call get_time");
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } } });
    scenario.tools = vec![("get_weather", schema.clone()), ("get_time", schema)];
    scenario.thinks = true;
    let got = Wire::Anthropic.ask(&mock, &scenario, "", true).await;
    let mut deltas = vec![Vec::new(); 3];
    let mut kinds = Vec::new();
    for event in Wire::Anthropic.chunks(&got.body) {
        let index = event["index"].as_u64().map(|index| usize::try_from(index).unwrap());
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(index, Some(kinds.len()), "one block after another");
                kinds.push(event["content_block"]["type"].as_str().unwrap().to_owned());
                if kinds.len() > 1 {
                    assert_eq!(event["content_block"]["input"], json!({}));
                    assert!(event["content_block"]["id"].as_str().unwrap().starts_with("toolu_"));
                }
            }
            "content_block_delta" => deltas[index.unwrap()].push(event["delta"]["type"].as_str().unwrap().to_owned()),
            _ => {}
        }
    }
    assert_eq!(kinds, ["thinking", "tool_use", "tool_use"]);
    assert_eq!(deltas[0].last().unwrap(), "signature_delta");
    assert!(deltas[0][..12].iter().all(|kind| kind == "thinking_delta"));
    assert!(deltas[1..].iter().flatten().all(|kind| kind == "input_json_delta"));
}

#[tokio::test]
async fn tokens_are_counted_without_an_answer() {
    let mock = Mock::start().await;
    let request =
        json!({ "model": "mock", "system": "Be brief.", "messages": [{ "role": "user", "content": "Hello" }] });
    let count =
        || mock.post("/v1/messages/count_tokens", request.to_string()).header("anthropic-version", "2023-06-01");
    assert_eq!(Answer::of(count()).await.json(), json!({ "input_tokens": 12 }));
    assert_eq!(mock.last().await["tokens_sent"], 0);
    assert_eq!(Answer::of(count().header("x-mock-fault", "status=529")).await.status, 529);
}

#[tokio::test]
async fn the_version_and_the_key_are_looked_at() {
    let mock = Mock::with(&[("VX11_MOCK_PROVIDER__API_KEY", "sk-right")]).await;
    let request = || messages(&mock, json!({}));
    let (status, class, message) = refused(request()).await;
    assert_eq!(
        (status, class.as_str(), message.as_str()),
        (401, "authentication_error", "x-api-key header is required")
    );
    assert_eq!(refused(request().header("x-api-key", "sk-wrong")).await.2, "invalid x-api-key");
    let keyed = || request().header("x-api-key", "sk-right");
    assert_eq!(refused(keyed()).await.2, "anthropic-version: header is required");
    let wrong = refused(keyed().header("anthropic-version", "2020-01-01")).await;
    assert_eq!((wrong.0, wrong.1.as_str()), (400, "invalid_request_error"));
    assert_eq!(Answer::of(keyed().header("anthropic-version", "2023-06-01")).await.status, 200);
    assert!(mock.last().await["key_hash"].is_string());
    assert_eq!(mock.log().await.len(), 1);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let mock = Mock::start().await;
    let said = |messages: Value| json!({ "messages": messages });
    for (fields, word) in [
        (json!({ "max_tokens": null }), "max_tokens"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (said(json!([])), "at least one message"),
        (said(json!([{ "role": "system", "content": "x" }])), "messages[0].role"),
        (said(json!([{ "role": "user", "content": "" }])), "non-empty content"),
        (said(json!([{ "role": "user", "content": "x" }, { "role": "assistant", "content": "y " }])), "whitespace"),
        (json!({ "model": "mock+statu=1" }), "statu"),
    ] {
        let (status, class, message) =
            refused(messages(&mock, fields.clone()).header("anthropic-version", "2023-06-01")).await;
        assert_eq!((status, class.as_str()), (400, "invalid_request_error"), "{fields}");
        assert!(message.contains(word), "{fields}: {message}");
    }
    let none = messages(&mock, json!({ "model": "claude" })).header("anthropic-version", "2023-06-01");
    assert_eq!(refused(none).await.1, "not_found_error");
    let broken = mock.post("/v1/messages", "{").header("anthropic-version", "2023-06-01");
    assert_eq!(refused(broken).await.0, 400);
}
