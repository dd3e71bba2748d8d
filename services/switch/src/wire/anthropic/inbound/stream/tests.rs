use super::*;

fn chunk(delta: Value) -> Value {
    json!({"id": "c1", "model": "gpt", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn names(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| text(event, "type")).collect()
}

#[test]
fn a_whole_stream_has_every_event_in_its_place() {
    let mut stream = Stream::default();
    let mut events = stream.push(&chunk(json!({"role": "assistant", "content": ""})));
    events.extend(stream.push(&chunk(json!({"reasoning_content": "hm"}))));
    events.extend(stream.push(&chunk(json!({"content": "Hel"}))));
    events.extend(stream.push(&chunk(json!({"content": "lo"}))));
    let begun = json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]});
    events.extend(stream.push(&chunk(begun)));
    events.extend(stream.push(&chunk(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}))));
    events.extend(stream.push(&json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})));
    // Two of the three are reasoning, which some providers count in the total alone.
    let usage = json!({"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 8});
    events.extend(stream.push(&json!({"choices": [], "usage": usage})));
    events.extend(stream.finish(None, "0.000528".parse().expect("an amount")));

    let expected = [
        json!({"type": "message_start", "message": {
            "id": "msg_c1", "type": "message", "role": "assistant", "model": "gpt", "content": [], "stop_reason": null,
            "stop_sequence": null, "usage": {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
        }}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "lo"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "a", "name": "f", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": "{}"}}),
        json!({"type": "content_block_stop", "index": 2}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": null},
            "usage": {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "cost": 0.000528}}),
        json!({"type": "message_stop"}),
    ];
    assert_eq!(events, expected);
}

#[test]
fn calls_that_are_written_at_once_keep_their_blocks() {
    let mut stream = Stream::default();
    let part = |index: u64, id: Option<&str>, arguments: &str| {
        chunk(
            json!({"tool_calls": [{"index": index, "id": id, "function": {"name": id.map(|_| "f"), "arguments": arguments}}]}),
        )
    };
    let mut events = stream.push(&part(0, Some("a"), "{"));
    events.extend(stream.push(&part(1, Some("b"), "{")));
    events.extend(stream.push(&part(0, None, "}")));
    events.extend(stream.push(&part(1, None, "}")));
    let deltas: Vec<(u64, &str)> = events
        .iter()
        .filter_map(|event| Some((count(event, "index"), text(get(event, "delta")?, "partial_json")?)))
        .collect();
    assert_eq!(deltas, [(0, "{"), (1, "{"), (0, "}"), (1, "}")]);
    assert_eq!(names(&events).iter().filter(|name| **name == "content_block_start").count(), 2);
}

#[test]
fn calls_that_are_all_counted_as_the_first_are_told_apart_by_their_ids() {
    let call = |index: Value, id: &str, name: Option<&str>| {
        let function = json!({"name": name, "arguments": format!("\"{id}\"")});
        chunk(json!({"tool_calls": [{"index": index, "id": id, "function": function}]}))
    };
    for index in [json!(0), json!(null)] {
        let mut stream = Stream::default();
        let mut events = stream.push(&call(index.clone(), "a", Some("f")));
        events.extend(stream.push(&call(index.clone(), "b", Some("g"))));
        let begun: Vec<&Value> =
            events.iter().map(|event| &event["content_block"]["id"]).filter(|id| !id.is_null()).collect();
        assert_eq!(begun, ["a", "b"]);
        let deltas: Vec<(u64, &str)> = events
            .iter()
            .filter_map(|event| Some((count(event, "index"), text(get(event, "delta")?, "partial_json")?)))
            .collect();
        assert_eq!(deltas, [(0, "\"a\""), (1, "\"b\"")]);
        let more = stream.push(&call(index, "another id for each part", None));
        assert_eq!((names(&more), &more[0]["index"]), (vec!["content_block_delta"], &json!(1)));
    }
}

#[test]
fn what_azure_says_of_the_prompt_first_begins_no_message() {
    let mut stream = Stream::default();
    let of_the_prompt =
        json!({"choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": []});
    assert_eq!(stream.push(&of_the_prompt), Vec::<Value>::new());
    let begun = stream.push(&chunk(json!({"content": "Hi"})));
    assert_eq!((&begun[0]["message"]["id"], &begun[0]["message"]["model"]), (&json!("msg_c1"), &json!("gpt")));
}

#[test]
fn the_name_of_reasoning_stands_where_its_signature_would() {
    for (field, signature) in [("reasoning_content", ""), ("reasoning", "reasoning")] {
        let events = Stream::default().push(&chunk(json!({field: "hm"})));
        assert_eq!(
            (&events[1]["content_block"]["signature"], &events[3]["delta"]["thinking"]),
            (&json!(signature), &json!("hm"))
        );
    }
}

#[test]
fn chunks_follow_events_that_were_passed_on() {
    let events = [
        json!({"type": "message_start", "message": {}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "server_tool_use"}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "Hel"}}),
    ];
    for named in [true, false] {
        let mut stream = Stream::default();
        for event in &events {
            let name = text(event, "type").filter(|_| named);
            stream.passed(name, event.to_string().as_bytes());
        }
        let mut rest = stream.push(&chunk(json!({"content": "lo"})));
        rest.extend(stream.push(&chunk(json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}))));
        rest.extend(stream.push(&json!({"choices": [], "vx11": {"provider": "b"}})));
        rest.extend(stream.finish(None, Usd::ZERO));
        let expected = [
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ];
        assert_eq!(names(&rest), expected);
        assert_eq!(
            (&rest[0]["index"], &rest[2]["index"], &rest[4]["vx11"]["provider"]),
            (&json!(1), &json!(2), &json!("b"))
        );
    }
}

#[test]
fn a_silent_answer_is_whole_too() {
    assert_eq!(names(&Stream::default().finish(None, Usd::ZERO)), ["message_start", "message_delta", "message_stop"]);
}

#[test]
fn redacted_thoughts_and_signatures_go_through() {
    let mut stream = Stream::default();
    let mut events = stream.push(&chunk(json!({"reasoning_content": "hm"})));
    events.extend(
        stream.push(&chunk(json!({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}))),
    );
    events.extend(stream.push(&chunk(json!({"thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]}))));
    let expected = [
        "message_start",
        "content_block_start",
        "ping",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_stop",
    ];
    assert_eq!(names(&events), expected);
    assert_eq!(events[4]["delta"], json!({"type": "signature_delta", "signature": "s"}));
}
