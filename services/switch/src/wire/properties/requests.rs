//! Requests: there and back again, and nothing that a caller can send makes a translator panic.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::wire::{Defaults, Wire, anthropic, translate_request};

const DEFAULTS: Defaults = Defaults { max_tokens: 4096, stream_usage: true };

pub(super) fn text() -> impl Strategy<Value = String> {
    "\\PC{1,12}"
}

/// An object of plain values, as tools take.
pub(super) fn object() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        text().prop_map(Value::from)
    ];
    prop::collection::btree_map("[a-z]{1,6}", leaf, 0..4)
        .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn user() -> impl Strategy<Value = Value> {
    let image = prop_oneof![Just("data:image/png;base64,aGk=".to_owned()), Just("https://h.test/a.png".to_owned())];
    let parts = (text(), image).prop_map(
        |(text, url)| json!([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]),
    );
    prop_oneof![text().prop_map(Value::from), parts].prop_map(|content| json!({"role": "user", "content": content}))
}

/// What one side says and the other answers: text, calls with their results, or both.
fn exchange() -> impl Strategy<Value = Vec<Value>> {
    let calls = prop::collection::vec(("[a-z]{1,8}", object(), text()), 0..3);
    (user(), prop::option::of(text()), calls).prop_map(|(user, said, calls)| {
        let mut messages = vec![user];
        let mut assistant = json!({"role": "assistant", "content": said});
        if said.is_none() && calls.is_empty() {
            assistant["content"] = "fine".into();
        }
        let call = |(index, (name, arguments, _)): (usize, &(String, Value, String))| {
            json!({"id": format!("call_{index}"), "type": "function", "function": {"name": name, "arguments": arguments.to_string()}})
        };
        if !calls.is_empty() {
            assistant["tool_calls"] = calls.iter().enumerate().map(call).collect();
        }
        messages.push(assistant);
        let result = |(index, (_, _, result)): (usize, &(String, Value, String))| {
            json!({"role": "tool", "tool_call_id": format!("call_{index}"), "content": result})
        };
        messages.extend(calls.iter().enumerate().map(result));
        messages
    })
}

/// What all wires have words for.
pub(super) fn common() -> impl Strategy<Value = Value> {
    let tools = prop::collection::vec(("[a-z]{1,8}", text(), object()), 0..3);
    let choice = prop_oneof![
        Just(json!("auto")),
        Just(json!("none")),
        Just(json!("required")),
        Just(json!({"type": "function", "function": {"name": "f"}})),
    ];
    // Blanks alone are no stop for Anthropic.
    let stop = text().prop_filter("says something", |text| !text.trim().is_empty());
    let tuning =
        (1..9999u64, prop::option::of(0..=100u32), prop::collection::vec(stop, 0..3), prop::option::of(text()));
    (prop::option::of(text()), prop::collection::vec(exchange(), 1..4), tools, choice, tuning, any::<bool>()).prop_map(
        |(system, exchanges, tools, choice, (max_tokens, temperature, stop, user), stream)| {
            let system = system.map(|text| json!({"role": "system", "content": text}));
            let messages: Vec<Value> = system.into_iter().chain(exchanges.into_iter().flatten()).collect();
            let mut request = json!({"model": "m", "messages": messages, "max_tokens": max_tokens});
            if stream {
                request["stream"] = true.into();
            }
            if let Some(temperature) = temperature {
                request["temperature"] = (f64::from(temperature) / 100.0).into();
            }
            if !stop.is_empty() {
                request["stop"] = stop.into();
            }
            if let Some(user) = user {
                request["user"] = user.into();
            }
            if !tools.is_empty() {
                let tool = |(name, description, parameters)| {
                    json!({"type": "function", "function": {"name": name, "description": description, "parameters": parameters}})
                };
                request["tools"] = tools.into_iter().map(tool).collect();
                request["tool_choice"] = choice;
            }
            request
        },
    )
}

/// Words of the wires.
const WORDS: &[&str] = &[
    "type",
    "role",
    "content",
    "messages",
    "text",
    "tool_use",
    "tool_result",
    "user",
    "assistant",
    "tool",
    "tools",
    "tool_calls",
    "function",
    "arguments",
    "image_url",
    "source",
    "delta",
    "choices",
    "candidates",
    "parts",
    "index",
    "finishReason",
    "STOP",
    "message_start",
    "content_block_start",
    "content_block_delta",
    "message_delta",
    "message",
    "content_block",
    "input_json_delta",
    "stop_reason",
    "usage",
    "usageMetadata",
    "functionCall",
    "max_tokens",
];

/// Any JSON, with the words of the wires in it.
pub(super) fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(WORDS);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..5).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn a_request_in_common_words_goes_to_anthropic_and_comes_back(request in common()) {
        let there = anthropic::outbound::request(&request, "m", DEFAULTS).expect("translatable");
        let back = anthropic::inbound::request(&there).expect("translatable");
        prop_assert_eq!(back, request);
    }

    #[test]
    fn no_request_makes_a_translator_panic(request in anything()) {
        let body = request.to_string();
        for from in [Wire::OpenAi, Wire::Anthropic] {
            for to in [Wire::OpenAi, Wire::Anthropic, Wire::Gemini] {
                if from != to && request.is_object() {
                    let _ = translate_request(body.as_bytes(), (from, to), "m", DEFAULTS);
                }
            }
        }
    }
}
