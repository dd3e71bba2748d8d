//! Tool calls, whole and streamed.

use serde_json::{Value, json};

use crate::mock::{Mock, saying, with};

fn tools() -> Value {
    let weather = json!({ "type": "object", "required": ["city"], "properties": {
        "city": { "type": "string" }, "unit": { "enum": ["c", "f"] }, "days": { "type": "integer" } } });
    json!({ "tools": [
        { "type": "function", "function": { "name": "get_weather", "parameters": weather } },
        { "type": "function", "function": { "name": "get_time" } },
    ] })
}

#[tokio::test]
async fn a_tool_is_called_when_the_prompt_or_the_choice_says_so() {
    let mock = Mock::start().await;
    let by_name = json!({ "type": "function", "function": { "name": "get_time" } });
    for (said, choice, names) in [
        ("call get_weather", json!("auto"), &["get_weather"][..]),
        ("call get_weather and call get_time", Value::Null, &["get_weather", "get_time"]),
        ("call get_weather", json!("none"), &[]),
        ("call get_rich", json!("auto"), &[]),
        ("Hello", json!("auto"), &[]),
        ("Hello", json!("required"), &["get_weather"]),
        ("Hello", by_name, &["get_time"]),
    ] {
        let body = mock.chat(with(with(saying(said), tools()), json!({ "tool_choice": choice }))).await.json();
        let choice = &body["choices"][0];
        let calls = choice["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        let called: Vec<_> = calls.iter().map(|call| call["function"]["name"].as_str().unwrap()).collect();
        assert_eq!(called, names, "{said}");
        let is_call = !names.is_empty();
        assert_eq!(choice["finish_reason"], if is_call { "tool_calls" } else { "stop" });
        assert_eq!(choice["message"]["content"].is_null(), is_call);
        for call in &calls {
            assert_eq!(call["type"], "function");
            assert!(call["id"].as_str().unwrap().starts_with("call_"));
            let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
            assert!(arguments.is_object());
        }
    }
}

#[tokio::test]
async fn arguments_fit_their_schema_and_never_change() {
    let mock = Mock::start().await;
    let ask = async || {
        let body = mock.chat(with(saying("call get_weather"), tools())).await.json();
        body["choices"][0]["message"]["tool_calls"].clone()
    };
    let calls = ask().await;
    let arguments: Value = serde_json::from_str(calls[0]["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"].is_string() && arguments["days"].is_u64(), "{arguments}");
    assert!(["c", "f"].contains(&arguments["unit"].as_str().unwrap()));
    assert_eq!(calls, ask().await);
}

#[tokio::test]
async fn the_result_of_a_call_ends_the_round() {
    let mock = Mock::start().await;
    let messages = json!({ "messages": [
        { "role": "user", "content": "call get_weather" },
        { "role": "assistant", "content": null, "tool_calls": [] },
        { "role": "tool", "tool_call_id": "call_1", "content": "sunny" },
    ] });
    let body = mock.chat(with(messages, tools())).await.json();
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
    assert!(body["choices"][0]["message"]["content"].is_string());
}

#[tokio::test]
async fn streamed_calls_add_up_to_the_whole_ones() {
    let mock = Mock::start().await;
    let fields = with(saying("call get_weather and call get_time"), tools());
    let whole = mock.chat(fields.clone()).await.json();
    let streaming = json!({ "stream": true, "stream_options": { "include_usage": true } });
    let got = mock.chat(with(fields, streaming)).await;
    let mut calls = vec![json!({ "function": { "arguments": "" } }); 2];
    for chunk in got.chunks() {
        for delta in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let call = &mut calls[usize::try_from(delta["index"].as_u64().unwrap()).unwrap()];
            if delta["id"].is_string() {
                call["id"] = delta["id"].clone();
                call["type"] = delta["type"].clone();
                call["function"]["name"] = delta["function"]["name"].clone();
            }
            let so_far = call["function"]["arguments"].as_str().unwrap();
            call["function"]["arguments"] = json!([so_far, delta["function"]["arguments"].as_str().unwrap()].concat());
        }
    }
    assert_eq!(json!(calls), whole["choices"][0]["message"]["tool_calls"]);
    assert_eq!(got.chunks().last().unwrap()["usage"], whole["usage"]);
    assert_eq!(mock.last().await["tokens_sent"], whole["usage"]["completion_tokens"]);
}
