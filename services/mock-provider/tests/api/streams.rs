//! Streamed answers say what whole ones say, token by token.

use serde_json::{Value, json};

use crate::mock::{Answer, Mock, saying, with};

fn texts(got: &Answer, index: u64, field: &str) -> String {
    let chunks = got.chunks();
    let choices = chunks.iter().filter_map(|chunk| chunk["choices"].get(0)).filter(|choice| choice["index"] == index);
    choices.filter_map(|choice| choice["delta"][field].as_str()).collect()
}

#[tokio::test]
async fn a_stream_has_openais_shape() {
    let mock = Mock::start().await;
    let got = mock.chat(with(saying("echo: one two"), json!({ "stream": true }))).await;
    assert_eq!(got.status, 200);
    assert!(got.header("content-type").starts_with("text/event-stream"), "{got:?}");
    assert_eq!(got.header("cache-control"), "no-cache");
    let chunks = got.chunks();
    let deltas: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    assert_eq!(
        deltas,
        [
            &json!({ "role": "assistant", "content": "" }),
            &json!({ "content": "one" }),
            &json!({ "content": " two" }),
            &json!({}),
        ]
    );
    let reasons: Vec<&Value> = chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).collect();
    assert_eq!(reasons, [&Value::Null, &Value::Null, &Value::Null, &json!("stop")]);
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));
    assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(got.events().last(), Some(&"[DONE]"));
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_say_the_same() {
    let mock = Mock::start().await;
    for fields in [
        json!({}),
        json!({ "n": 3, "seed": 5 }),
        json!({ "max_tokens": 4, "n": 2 }),
        json!({ "model": "mock-reasoner" }),
        with(saying("echo: é, 🐙!  x"), json!({ "stop": "x" })),
        saying("tokens: 0"),
    ] {
        let whole = mock.chat(fields.clone()).await.json();
        let streaming = json!({ "stream": true, "stream_options": { "include_usage": true } });
        let got = mock.chat(with(fields.clone(), streaming)).await;
        for choice in whole["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap();
            assert_eq!(texts(&got, index, "content"), choice["message"]["content"], "{fields}");
            let reasoning = choice["message"]["reasoning_content"].as_str().unwrap_or_default();
            assert_eq!(texts(&got, index, "reasoning_content"), reasoning, "{fields}");
        }
        let chunks = got.chunks();
        let last = chunks.last().unwrap();
        assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &whole["usage"]), "{fields}");
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk["usage"].is_null()), "{fields}");
        assert_eq!(mock.last().await["tokens_sent"], whole["usage"]["completion_tokens"], "{fields}");
    }
}

#[tokio::test]
async fn the_longest_stream_begins_at_once() {
    let mock = Mock::start().await;
    let fields = with(saying("tokens: 100000"), json!({ "stream": true, "n": 16 }));
    let mut response = mock.completion(&fields).send().await.unwrap();
    assert!(response.chunk().await.unwrap().unwrap().starts_with(b"data: {"));
    drop(response);
    mock.wait_for_outcome("client_disconnected").await;
    assert!(mock.last().await["tokens_sent"].as_u64().unwrap() < 1_600_000, "no more is made than is taken");
}
