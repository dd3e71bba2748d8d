//! Responses, chunk by chunk.

use serde_json::{Value, json};

use super::*;
use crate::domain::responses::ResponsesRequest;
use crate::domain::responses::output::MAX_SAID;

fn builder() -> Builder {
    let body = json!({ "model": "m", "input": "hi", "metadata": { "a": "b" } }).to_string();
    let request = ResponsesRequest::read(body.into()).expect("acceptable");
    Builder::new("k".to_owned(), 1, "m", request.echo)
}

fn add(builder: &mut Builder, chunk: &Value) -> Vec<Value> {
    read(builder.add(chunk.to_string().as_bytes()).expect("a chunk"))
}

fn read(events: Vec<Event>) -> Vec<Value> {
    let value = |event: Event| {
        let value: Value = serde_json::from_str(event.data.get()).expect("JSON");
        assert_eq!(value["type"], event.name);
        value
    };
    events.into_iter().map(value).collect()
}

fn delta(delta: Value) -> Value {
    json!({ "model": "real", "choices": [{ "index": 0, "delta": delta, "finish_reason": null }] })
}

fn end(reason: &str) -> Value {
    json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": reason }] })
}

fn call(index: usize, id: Option<&str>, arguments: &str) -> Value {
    let name = id.map(|_| format!("f{index}"));
    delta(json!({ "tool_calls": [{ "index": index, "id": id, "function": { "name": name, "arguments": arguments } }] }))
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().expect("a name").trim_start_matches("response.")).collect()
}

#[test]
fn a_text_is_told_from_its_beginning_to_its_end() {
    let mut builder = builder();
    let mut events = add(&mut builder, &delta(json!({ "role": "assistant", "content": "" })));
    for text in ["Hel", "lo"] {
        events.extend(add(&mut builder, &delta(json!({ "content": text }))));
    }
    events.extend(add(&mut builder, &end("stop")));
    // In xAI's counting: reasoning is beside the completion.
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9,
        "prompt_tokens_details": { "cached_tokens": 1 }, "completion_tokens_details": { "reasoning_tokens": 4 } } });
    events.extend(add(&mut builder, &usage));
    events.extend(read(builder.finish(9, "0.15".parse().expect("an amount"))));
    assert_eq!(
        names(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().expect("a number")).collect();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!((&events[2]["item"]["content"], &events[6]["text"]), (&json!([]), &json!("Hello")));
    let response = &events[9]["response"];
    assert_eq!(
        (&response["id"], &response["model"], &response["status"]),
        (&json!("resp_k"), &json!("real"), &json!("completed"))
    );
    let part = json!({ "type": "output_text", "text": "Hello", "annotations": [], "logprobs": [] });
    let item =
        json!({ "type": "message", "id": "msg_k00", "status": "completed", "role": "assistant", "content": [part] });
    assert_eq!(response["output"], json!([item]));
    assert_eq!(
        response["usage"],
        json!({ "input_tokens": 3, "input_tokens_details": { "cached_tokens": 1, "cache_write_tokens": 0 },
            "output_tokens": 6, "output_tokens_details": { "reasoning_tokens": 4 }, "total_tokens": 9,
            "cost": 0.15 })
    );
    assert_eq!((&response["metadata"], &response["store"]), (&json!({ "a": "b" }), &json!(false)));
}

#[test]
fn calls_may_grow_side_by_side() {
    let mut builder = builder();
    let mut events = add(&mut builder, &delta(json!({ "reasoning_content": "hm" })));
    for chunk in [call(0, Some("a"), "{\"x\""), call(1, Some("b"), "{"), call(0, None, ":1}"), call(1, None, "}")] {
        events.extend(add(&mut builder, &chunk));
    }
    events.extend(add(&mut builder, &end("tool_calls")));
    events.extend(read(builder.finish(9, Usd::ZERO)));
    let done: Vec<_> = events.iter().filter(|event| event["type"] == "response.function_call_arguments.done").collect();
    assert_eq!((&done[0]["arguments"], &done[1]["arguments"]), (&json!("{\"x\":1}"), &json!("{}")));
    let output = &events.last().expect("an end")["response"]["output"];
    let kinds: Vec<_> =
        output.as_array().expect("a list").iter().map(|item| item["type"].as_str().expect("text")).collect();
    assert_eq!(kinds, ["reasoning", "function_call", "function_call"]);
    assert_eq!(
        (&output[1]["call_id"], &output[1]["name"], &output[2]["call_id"]),
        (&json!("a"), &json!("f0"), &json!("b"))
    );
}

#[test]
fn calls_that_are_all_counted_as_the_first_are_told_apart_by_their_ids() {
    let whole = |index: Value, id: &str| {
        let function = json!({ "name": "f", "arguments": format!("\"{id}\"") });
        json!({ "index": index, "id": id, "function": function })
    };
    let apart = [
        delta(json!({ "tool_calls": [whole(json!(0), "a")] })),
        delta(json!({ "tool_calls": [whole(json!(0), "b")] })),
    ];
    let without = [
        delta(json!({ "tool_calls": [whole(Value::Null, "a")] })),
        delta(json!({ "tool_calls": [whole(Value::Null, "b")] })),
    ];
    for chunks in [apart, without] {
        let mut builder = builder();
        for chunk in &chunks {
            add(&mut builder, chunk);
        }
        let last = read(builder.finish(9, Usd::ZERO)).pop().expect("an end");
        let output = last["response"]["output"].as_array().expect("a list").clone();
        let calls: Vec<_> = output.iter().map(|item| (item["call_id"].clone(), item["arguments"].clone())).collect();
        assert_eq!(calls, [(json!("a"), json!("\"a\"")), (json!("b"), json!("\"b\""))]);
    }
    let mut builder = builder();
    add(&mut builder, &call(0, Some("a"), "{"));
    let repeated = json!({ "tool_calls": [{ "index": 0, "id": "other", "function": { "arguments": "}" } }] });
    add(&mut builder, &delta(repeated));
    let last = read(builder.finish(9, Usd::ZERO)).pop().expect("an end");
    assert_eq!(last["response"]["output"][0]["arguments"], "{}", "an id alone begins no call");
}

#[test]
fn a_signature_travels_in_the_id_of_its_call() {
    let call = json!({ "index": 0, "id": "a", "function": { "name": "f", "arguments": "{}" },
        "extra_content": { "google": { "thought_signature": "s/=" } } });
    let mut builder = builder();
    add(&mut builder, &delta(json!({ "tool_calls": [call] })));
    let last = read(builder.finish(9, Usd::ZERO)).pop().expect("an end");
    let id = last["response"]["output"][0]["call_id"].as_str().expect("text").to_owned();
    assert_eq!(crate::wire::signed_id::split(&id), ("a", Some("s/=".to_owned())));
}

#[test]
fn a_response_begins_with_its_first_choice_and_ends_with_the_model_that_finished_it() {
    let mut builder = builder();
    let of_the_prompt =
        json!({ "choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": [] });
    assert_eq!(add(&mut builder, &of_the_prompt), Vec::<Value>::new());
    let events = add(&mut builder, &delta(json!({ "content": "Hel" })));
    assert_eq!(events[0]["response"]["model"], "real");
    let mut end = end("stop");
    end["model"] = json!("other");
    add(&mut builder, &end);
    let last = read(builder.finish(9, Usd::ZERO)).pop().expect("an end");
    assert_eq!(last["response"]["model"], "other");
}

#[test]
fn reasoning_keeps_the_name_that_its_server_knows() {
    for (name, mark) in [("reasoning_content", Value::Null), ("reasoning", json!("reasoning"))] {
        let mut builder = builder();
        add(&mut builder, &delta(json!({ name: "hm" })));
        let last = read(builder.finish(9, Usd::ZERO)).pop().expect("an end");
        let item = &last["response"]["output"][0];
        assert_eq!((&item["content"][0]["text"], &item["encrypted_content"]), (&json!("hm"), &mark));
    }
}

#[test]
fn a_half_call_is_never_said_to_be_done() {
    for broken in [true, false] {
        let mut builder = builder();
        let mut events = add(&mut builder, &call(0, Some("a"), "{\"x\""));
        if broken {
            events.extend(read(builder.fail("it broke off")));
        } else {
            events.extend(add(&mut builder, &end("length")));
            events.extend(read(builder.finish(9, Usd::ZERO)));
        }
        assert!(!names(&events).contains(&"function_call_arguments.done"), "{events:?}");
        let last = events.last().expect("an end");
        let expected = if broken { ("response.failed", "failed") } else { ("response.incomplete", "incomplete") };
        assert_eq!((last["type"].as_str(), last["response"]["status"].as_str()), (Some(expected.0), Some(expected.1)));
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
        assert_eq!(last["response"]["error"]["message"].is_string(), broken);
    }
}

#[test]
fn a_whole_answer_is_the_same_response() {
    let whole = json!({ "model": "real", "choices": [{ "index": 0, "finish_reason": "stop", "message": {
        "role": "assistant", "content": "Hello", "reasoning_content": "hm", "refusal": null,
        "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }] } }] });
    let response = builder().whole(whole.to_string().as_bytes(), 9).expect("a response");
    let response: Value = serde_json::from_str(response.get()).expect("JSON");
    let kinds: Vec<_> = response["output"].as_array().expect("a list").iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!((&response["completed_at"], &response["incomplete_details"]), (&json!(9), &Value::Null));
}

#[test]
fn an_answer_that_says_nothing_has_an_empty_message_and_an_endless_one_is_refused() {
    let mut silent = builder();
    add(&mut silent, &end("stop"));
    let last = read(silent.finish(9, Usd::ZERO)).pop().expect("an end");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "");

    let chunk = delta(json!({ "content": "x".repeat(MAX_SAID / 2 + 1) })).to_string();
    let mut endless = builder();
    assert!(endless.add(chunk.as_bytes()).is_ok());
    assert!(endless.add(chunk.as_bytes()).is_err());
}

#[test]
fn refusals_are_parts_of_their_own() {
    let mut builder = builder();
    let mut events = add(&mut builder, &delta(json!({ "content": "Well" })));
    events.extend(add(&mut builder, &delta(json!({ "refusal": "I cannot" }))));
    events.extend(read(builder.finish(9, Usd::ZERO)));
    let content = &events.last().expect("an end")["response"]["output"][0]["content"];
    assert_eq!(content[1], json!({ "type": "refusal", "refusal": "I cannot" }));
    assert!(names(&events).contains(&"refusal.done"), "{events:?}");
}

#[test]
fn a_tool_that_takes_any_text_is_called_as_such() {
    let mut builder = builder();
    let part = |call: Value| json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [call] } }] });
    let begun = json!({ "index": 0, "id": "call_1", "type": "custom", "custom": { "name": "patch", "input": "" } });
    let mut events = add(&mut builder, &part(begun));
    events.extend(add(&mut builder, &part(json!({ "index": 0, "custom": { "input": "*** Begin" } }))));
    events.extend(read(builder.finish(2, Usd::ZERO)));
    let of = |name: &str| events.iter().find(|event| event["type"] == name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(of("response.output_item.added")["item"]["name"], "patch");
    assert_eq!(of("response.custom_tool_call_input.delta")["delta"], "*** Begin");
    assert_eq!(of("response.custom_tool_call_input.done")["input"], "*** Begin");
    let item = &of("response.completed")["response"]["output"][0];
    let told = [&item["type"], &item["call_id"], &item["name"], &item["input"], &item["status"]];
    assert_eq!(told, ["custom_tool_call", "call_1", "patch", "*** Begin", "completed"]);
}
