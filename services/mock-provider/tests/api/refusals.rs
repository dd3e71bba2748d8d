//! Bad input is refused in OpenAI's shape, by the name of the field.

use serde_json::{Value, json};

use crate::mock::{Answer, Mock, saying, with};

#[tokio::test]
async fn a_field_that_does_not_fit_is_named() {
    let mock = Mock::start().await;
    for (fields, param) in [
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": "Hello" }), "messages"),
        (json!({ "messages": [{ "content": "no role" }] }), "messages[0].role"),
        (json!({ "messages": [7] }), "messages[0]"),
        (json!({ "model": 7 }), "model"),
        (json!({ "n": 0 }), "n"),
        (json!({ "n": 17 }), "n"),
        (json!({ "n": -1 }), "n"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "max_tokens": "many" }), "max_tokens"),
        (json!({ "max_tokens": -5 }), "max_tokens"),
        (json!({ "max_completion_tokens": 1.5 }), "max_completion_tokens"),
        (json!({ "stop": 5 }), "stop"),
        (json!({ "stream": "yes" }), "stream"),
        (json!({ "tools": [{ "type": "function" }] }), "tools[0].function"),
        (json!({ "seed": 1.5 }), "seed"),
        (json!({ "model": "mock+statu=503" }), "model"),
        (json!({ "model": "mock+status=99" }), "model"),
        (json!({ "model": "mock+latency=2s..1s" }), "model"),
        (json!({ "model": "mock+reset,hang" }), "model"),
    ] {
        let got = mock.chat(fields.clone()).await;
        assert_eq!(got.refusal(), (400, "invalid_request".to_owned()), "{fields}");
        let error = &got.json()["error"];
        assert_eq!((&error["param"], &error["type"]), (&json!(param), &json!("invalid_request_error")), "{fields}");
    }
    assert!(mock.log().await.is_empty(), "what was refused was not answered");
}

#[tokio::test]
async fn a_header_that_does_not_fit_is_named_too() {
    let mock = Mock::start().await;
    for header in [&b"statu=503"[..], b"error_rate=2", b"\xff", b"flap=1s", b"drip"] {
        let got = Answer::of(mock.completion(&json!({})).header("x-mock-fault", header)).await;
        assert_eq!(got.refusal().0, 400);
        assert_eq!(got.json()["error"]["param"], "x-mock-fault", "{}", got.body);
    }
    let got = Answer::of(mock.completion(&json!({})).header("x-mock-fault", "slow")).await;
    assert!(got.body.contains("latency") && got.body.contains("no_done"), "the faults that there are: {}", got.body);
}

#[tokio::test]
async fn a_model_that_does_not_exist_is_not_found() {
    let mock = Mock::start().await;
    for model in ["", "gpt-9", "MOCK", "mock ", "+status=200", "nobody+reset"] {
        let got = mock.chat(json!({ "model": model })).await;
        assert_eq!(got.refusal(), (404, "model_not_found".to_owned()), "{model:?}");
    }
}

#[tokio::test]
async fn what_is_no_json_is_malformed() {
    let mock = Mock::start().await;
    let deep = format!(r#"{{"model":"mock","messages":{}1{}}}"#, "[".repeat(500), "]".repeat(500));
    for body in [&b"{"[..], b"{} x", b"hello", b"{\"model\": \"\xff\"}", b"\0", deep.as_bytes()] {
        let got = Answer::of(mock.post("/v1/chat/completions", body.to_vec())).await;
        assert_eq!(got.refusal().0, 400, "{}", String::from_utf8_lossy(body));
    }
    assert_eq!(Answer::of(mock.post("/v1/chat/completions", "")).await.json()["error"]["param"], "model");
    assert_eq!(Answer::of(mock.post("/v1/chat/completions", "[]")).await.refusal().0, 400);
}

#[tokio::test]
async fn too_large_a_body_is_refused() {
    let mock = Mock::start().await;
    let body = with(json!({ "model": "mock" }), saying(&"x".repeat(17 * 1024 * 1024))).to_string();
    let got = Answer::of(mock.post("/v1/chat/completions", body)).await;
    assert_eq!(got.refusal(), (413, "payload_too_large".to_owned()));
}

#[tokio::test]
async fn unknown_addresses_and_methods_are_refused() {
    let mock = Mock::start().await;
    for request in [
        mock.get("/v1/nothing"),
        mock.get("/v1/chat/completions"),
        mock.delete("/v1/models"),
        mock.put("/v1/embeddings", &json!({})),
    ] {
        assert!([404, 405].contains(&Answer::of(request).await.refusal().0));
    }
}

#[tokio::test]
async fn strange_but_fair_input_is_answered() {
    let mock = Mock::start().await;
    for fields in [
        json!({ "messages": [{ "role": "user", "content": "" }] }),
        json!({ "messages": [{ "role": "user", "content": null }] }),
        json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url", "image_url": { "url": "x" } }] }] }),
        saying("\u{0}\u{7f}\u{202e}🐙"),
        saying("tokens: 99999999999999999999"),
        saying("tokens: -1"),
        json!({ "seed": i64::MIN, "temperature": "hot" }),
    ] {
        let got = mock.chat(fields.clone()).await;
        assert_eq!(got.status, 200, "{fields}: {}", got.body);
        assert!(got.json()["choices"][0]["message"]["content"] != Value::Null);
    }
}
