//! Gemini's form of a request, which no caller writes: what it says is what the request said.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::requests::common;
use crate::wire::gemini;
use crate::wire::json::list;

/// Whose words, and what they are.
type Said = (&'static str, Value);

/// What the messages of a chat say, one thing after the other.
fn said(request: &Value) -> Vec<Said> {
    let messages = list(request, "messages");
    let said_by = |(index, message): (usize, &Value)| match message["role"].as_str() {
        Some("tool") => vec![("user", result(message, &messages[..index]))],
        Some("assistant") => {
            let calls = list(message, "tool_calls").iter().map(|call| {
                let arguments = call["function"]["arguments"].as_str().expect("text");
                let arguments: Value = serde_json::from_str(arguments).expect("JSON");
                json!({"call": call["function"]["name"], "with": arguments})
            });
            content(message).into_iter().chain(calls).map(|one| ("model", one)).collect()
        }
        Some("system") => content(message).into_iter().map(|one| ("system", one)).collect(),
        _ => content(message).into_iter().map(|one| ("user", one)).collect(),
    };
    messages.iter().enumerate().flat_map(said_by).collect()
}

fn content(message: &Value) -> Vec<Value> {
    let part = |part: &Value| match part["type"].as_str() {
        Some("text") => json!({"text": part["text"]}),
        _ => json!({"see": part["image_url"]["url"]}),
    };
    match &message["content"] {
        Value::String(text) => vec![json!({"text": text})],
        Value::Array(parts) => parts.iter().map(part).collect(),
        _ => Vec::new(),
    }
}

/// An object is a result as it is, and what is none is put into one.
fn result(message: &Value, before: &[Value]) -> Value {
    let mut calls = before.iter().flat_map(|message| list(message, "tool_calls"));
    let call = calls.rfind(|call| call["id"] == message["tool_call_id"]).expect("a call");
    let said = message["content"].as_str().expect("text");
    let object = serde_json::from_str(said).ok().filter(Value::is_object);
    json!({"result_of": call["function"]["name"], "is": object.unwrap_or_else(|| json!({"result": said}))})
}

/// What Gemini is told, one thing after the other.
fn told(translated: &Value) -> Vec<Said> {
    let system = list(&translated["systemInstruction"], "parts").iter().map(|part| ("system", told_part(part)));
    let turns = list(translated, "contents").iter().flat_map(|turn| {
        let who = if turn["role"] == "model" { "model" } else { "user" };
        list(turn, "parts").iter().map(move |part| (who, told_part(part)))
    });
    system.chain(turns).collect()
}

fn told_part(part: &Value) -> Value {
    let kinds = ["text", "inlineData", "fileData", "functionCall", "functionResponse"];
    let kinds: Vec<&str> = kinds.into_iter().filter(|kind| part.get(kind).is_some()).collect();
    let [kind] = kinds[..] else { panic!("one thing in a part: {part}") };
    let inside = &part[kind];
    match kind {
        "text" => json!({"text": inside}),
        "fileData" => json!({"see": inside["fileUri"]}),
        "functionCall" => json!({"call": inside["name"], "with": inside["args"]}),
        "functionResponse" => json!({"result_of": inside["name"], "is": inside["response"]}),
        _ => {
            let [media_type, data] = ["mimeType", "data"].map(|field| inside[field].as_str().expect("text"));
            json!({"see": format!("data:{media_type};base64,{data}")})
        }
    }
}

/// The tools, the choice among them and the tuning, in a chat's words.
fn wishes(translated: &Value) -> Value {
    let mut out = json!({});
    let declared =
        translated["tools"].as_array().into_iter().flatten().flat_map(|tool| list(tool, "functionDeclarations"));
    let tools: Vec<Value> = declared
        .map(|tool| {
            let function = json!({"name": tool["name"], "description": tool["description"], "parameters": tool["parametersJsonSchema"]});
            json!({"type": "function", "function": function})
        })
        .collect();
    if !tools.is_empty() {
        let calling = &translated["toolConfig"]["functionCallingConfig"];
        out["tools"] = tools.into();
        out["tool_choice"] = match (calling["mode"].as_str(), list(calling, "allowedFunctionNames")) {
            (Some("AUTO"), []) => "auto".into(),
            (Some("NONE"), []) => "none".into(),
            (Some("ANY"), []) => "required".into(),
            (Some("ANY"), [name]) => json!({"type": "function", "function": {"name": name}}),
            _ => panic!("no choice: {calling}"),
        };
    }
    let config = [("temperature", "temperature"), ("maxOutputTokens", "max_tokens"), ("stopSequences", "stop")];
    for (theirs, ours) in config {
        if let Some(value) = translated["generationConfig"].get(theirs) {
            out[ours] = value.clone();
        }
    }
    out
}

proptest! {
    #[test]
    fn gemini_is_told_what_was_said_in_turns_that_alternate(request in common()) {
        let translated = gemini::request(&request, "m").expect("translatable");
        prop_assert_eq!(told(&translated), said(&request));
        let turns = list(&translated, "contents");
        let roles: Vec<&str> = turns.iter().filter_map(|turn| turn["role"].as_str()).collect();
        prop_assert_eq!(roles.len(), turns.len());
        prop_assert!(roles.windows(2).all(|pair| pair[0] != pair[1]), "turns alternate: {:?}", roles);
    }

    #[test]
    fn gemini_is_asked_for_what_was_wished(request in common()) {
        let translated = gemini::request(&request, "m").expect("translatable");
        let mut wished = request;
        // In the address, told above, and without a counterpart.
        for told in ["model", "stream", "messages", "user"] {
            wished.as_object_mut().expect("an object").remove(told);
        }
        prop_assert_eq!(wishes(&translated), wished);
    }

    #[test]
    fn the_first_call_of_a_turn_is_signed_where_the_generation_wants_it(request in common()) {
        for (model, signs) in [("gemini-3-pro", true), ("gemini-2.5-pro", false)] {
            let translated = gemini::request(&request, model).expect("translatable");
            for turn in list(&translated, "contents") {
                let calls = list(turn, "parts").iter().filter(|part| part.get("functionCall").is_some());
                let signed: Vec<bool> = calls.map(|call| call.get("thoughtSignature").is_some()).collect();
                let expected: Vec<bool> = (0..signed.len()).map(|index| signs && index == 0).collect();
                prop_assert_eq!(signed, expected);
            }
        }
    }
}
