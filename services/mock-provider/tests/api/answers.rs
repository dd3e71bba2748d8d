//! Whole answers: the same for the same request, and as long as they are asked to be.

use serde_json::json;

use crate::mock::{Mock, saying, with};

#[tokio::test]
async fn an_answer_has_openais_shape() {
    let mock = Mock::start().await;
    let got = mock.chat(json!({})).await;
    let body = got.json();
    assert_eq!((got.status, got.header("content-type")), (200, "application/json"));
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("mock")));
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-") && body["created"].as_i64().unwrap() > 1_700_000_000);
    let choice = &body["choices"][0];
    assert_eq!((&choice["index"], &choice["finish_reason"]), (&json!(0), &json!("stop")));
    assert_eq!(choice["message"]["role"], "assistant");
    let usage = &body["usage"];
    assert_eq!(usage["prompt_tokens"], 5, "one word, and four for the message");
    assert_eq!(
        usage["total_tokens"].as_u64(),
        Some(usage["prompt_tokens"].as_u64().unwrap() + usage["completion_tokens"].as_u64().unwrap())
    );
}

#[tokio::test]
async fn answers_depend_on_model_messages_seed_and_choice_alone() {
    let (one, two) = (Mock::start().await, Mock::start().await);
    let text = one.chat(json!({})).await.text();
    assert_eq!(text, two.chat(json!({ "temperature": 2, "user": "u", "unknown": [] })).await.text());
    assert_eq!(text, one.chat(json!({ "model": "mock+latency=1ms" })).await.text(), "faults do not change it");
    for other in [json!({ "model": "mock-large" }), saying("Hello!"), json!({ "seed": 7 })] {
        assert_ne!(text, one.chat(other.clone()).await.text(), "{other}");
    }
    let system =
        json!({ "messages": [{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Hello" }] });
    assert_ne!(text, one.chat(system).await.text());
}

#[tokio::test]
async fn choices_differ_and_are_all_paid_for() {
    let mock = Mock::start().await;
    let one = mock.chat(json!({})).await;
    let body = mock.chat(json!({ "n": 3 })).await.json();
    let texts: Vec<_> = (0..3).map(|at| body["choices"][at]["message"]["content"].as_str().unwrap()).collect();
    assert_eq!(texts[0], one.text());
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    let indices: Vec<_> = body["choices"].as_array().unwrap().iter().map(|choice| choice["index"].clone()).collect();
    assert_eq!(indices, [0, 1, 2]);
    let fifty = mock.chat(with(saying("tokens: 50"), json!({ "n": 3 }))).await.json();
    assert_eq!((&fifty["usage"]["completion_tokens"], &fifty["usage"]["prompt_tokens"]), (&json!(150), &json!(7)));
}

#[tokio::test]
async fn the_prompt_says_what_comes_back() {
    let mock = Mock::start().await;
    for (said, answer) in [("echo: some text", "some text"), (" ECHO:  é 🐙 \"x\"\n", "é 🐙 \"x\""), ("echo:", "")]
    {
        assert_eq!(mock.chat(saying(said)).await.text(), answer, "{said}");
    }
    for n in [0, 1, 50, 1000] {
        let body = mock.chat(saying(&format!("tokens: {n}"))).await.json();
        assert_eq!(body["usage"]["completion_tokens"], n);
    }
    let parts = json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "echo: one part" }] }] });
    assert_eq!(mock.chat(parts).await.text(), "one part");
}

#[tokio::test]
async fn tokens_are_words_and_single_characters_with_the_space_before() {
    let mock = Mock::start().await;
    for (text, tokens) in [("one two  three", 3), ("Hello, world!", 4), ("é🐙日本", 3), ("a-b", 3)] {
        let usage = mock.chat(saying(&format!("echo: {text}"))).await.json()["usage"].clone();
        assert_eq!(usage["completion_tokens"], tokens, "{text}");
        // "echo", ":", the text, and four for the message.
        assert_eq!(usage["prompt_tokens"], tokens + 6, "{text}");
    }
}

#[tokio::test]
async fn an_answer_stops_where_it_is_told() {
    let mock = Mock::start().await;
    let ask = async |fields| {
        let body = mock.chat(with(saying("echo: one two three"), fields)).await.json();
        let choice = &body["choices"][0];
        let text = choice["message"]["content"].as_str().unwrap().to_owned();
        (
            text,
            choice["finish_reason"].as_str().unwrap().to_owned(),
            body["usage"]["completion_tokens"].as_u64().unwrap(),
        )
    };
    let said = |text: &str, reason: &str, tokens| (text.to_owned(), reason.to_owned(), tokens);
    assert_eq!(ask(json!({ "max_tokens": 2 })).await, said("one two", "length", 2));
    assert_eq!(ask(json!({ "max_completion_tokens": 1, "max_tokens": 2 })).await, said("one", "length", 1));
    assert_eq!(ask(json!({ "max_tokens": 3 })).await, said("one two three", "stop", 3));
    assert_eq!(ask(json!({ "max_tokens": u64::MAX })).await, said("one two three", "stop", 3));
    assert_eq!(ask(json!({ "stop": " two" })).await, said("one", "stop", 1));
    assert_eq!(ask(json!({ "stop": [" three", " two"] })).await, said("one", "stop", 1));
    assert_eq!(ask(json!({ "stop": "one" })).await, said("", "stop", 0));
    assert_eq!(ask(json!({ "stop": ["", "absent"] })).await, said("one two three", "stop", 3));
    assert_eq!(ask(json!({ "stop": null, "max_tokens": null })).await, said("one two three", "stop", 3));
}

#[tokio::test]
async fn thinking_is_paid_for_within_the_limit() {
    let mock = Mock::start().await;
    let ask = async |fields| mock.chat(with(json!({ "model": "deepseek-reasoner" }), fields)).await.json();
    let whole = ask(json!({})).await;
    assert!(!whole["choices"][0]["message"]["reasoning_content"].as_str().unwrap().is_empty());
    let reasoning = whole["usage"]["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap();
    assert!(reasoning > 3 && reasoning < whole["usage"]["completion_tokens"].as_u64().unwrap());
    for limit in [3, reasoning, reasoning + 2] {
        let body = ask(json!({ "max_tokens": limit })).await;
        assert_eq!(body["usage"]["completion_tokens"], limit);
        assert_eq!(body["choices"][0]["finish_reason"], "length");
    }
}

#[tokio::test]
async fn a_json_format_gives_json_that_fits() {
    let mock = Mock::start().await;
    let ask = async |format| -> serde_json::Value {
        serde_json::from_str(&mock.chat(json!({ "response_format": format })).await.text()).unwrap()
    };
    assert!(ask(json!({ "type": "json_object" })).await.is_object());
    let schema = json!({ "type": "object", "properties": {
        "name": { "type": "string" }, "age": { "type": "integer" }, "tags": { "type": "array", "items": { "enum": ["x"] } } } });
    let fits = ask(json!({ "type": "json_schema", "json_schema": { "name": "person", "schema": schema } })).await;
    assert!(fits["name"].is_string() && fits["age"].is_u64() && fits["tags"] == json!(["x"]), "{fits}");
}

#[tokio::test]
async fn fields_written_out_as_null_count_as_absent() {
    let mock = Mock::start().await;
    let nulls = json!({ "stream": null, "stream_options": null, "n": null, "stop": null, "max_tokens": null,
        "tools": null, "tool_choice": null, "seed": null, "response_format": null });
    assert_eq!(mock.chat(nulls).await.text(), mock.chat(json!({})).await.text());
    let usage = mock.chat(json!({ "stream": true, "stream_options": { "include_usage": null } })).await;
    assert!(usage.chunks().iter().all(|chunk| chunk.get("usage").is_none()));
}
