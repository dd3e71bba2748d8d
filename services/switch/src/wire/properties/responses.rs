//! A Responses request asks for the same as the chat that says it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::requests::{anything, common};
use crate::domain::responses::ResponsesRequest;
use crate::wire::json::list;

/// `chat` in the words of Responses, as OpenAI's guide to migrating has them.
fn as_response(chat: &Value) -> Value {
    let mut out = chat.clone();
    let fields = out.as_object_mut().expect("an object");
    fields.remove("messages");
    // Responses have no such field.
    fields.remove("stop");
    if let Some(limit) = fields.remove("max_tokens") {
        fields.insert("max_output_tokens".to_owned(), limit);
    }
    let input: Vec<Value> = list(chat, "messages").iter().flat_map(items).collect();
    fields.insert("input".to_owned(), input.into());
    if let Some(tools) = fields.get_mut("tools") {
        *tools = list(chat, "tools").iter().map(flat).collect();
    }
    if let Some(choice) = chat.get("tool_choice").filter(|choice| choice.is_object()) {
        fields.insert("tool_choice".to_owned(), flat(choice));
    }
    out
}

/// What is called stands one level higher.
fn flat(tool: &Value) -> Value {
    let mut out: Map<String, Value> = tool["function"].as_object().expect("an object").clone();
    out.insert("type".to_owned(), "function".into());
    out.into()
}

fn items(message: &Value) -> Vec<Value> {
    if message["role"] == "tool" {
        let [id, output] = ["tool_call_id", "content"].map(|field| &message[field]);
        return vec![json!({"type": "function_call_output", "call_id": id, "output": output})];
    }
    let part = |part: &Value| match part["type"].as_str() {
        Some("text") => json!({"type": "input_text", "text": part["text"]}),
        _ => json!({"type": "input_image", "image_url": part["image_url"]["url"]}),
    };
    let content = match &message["content"] {
        Value::Array(parts) => parts.iter().map(part).collect(),
        other => other.clone(),
    };
    let words = (!content.is_null()).then(|| json!({"role": message["role"], "content": content}));
    let calls = list(message, "tool_calls").iter().map(|call| {
        let mut item = flat(call);
        item["type"] = "function_call".into();
        item["call_id"] = call["id"].clone();
        item
    });
    words.into_iter().chain(calls).collect()
}

proptest! {
    #[test]
    fn a_response_is_asked_for_as_the_chat_that_says_the_same(chat in common()) {
        let mut expected = chat;
        expected.as_object_mut().expect("an object").remove("stop");
        let body = as_response(&expected).to_string();
        let read = ResponsesRequest::read(body.into()).expect("acceptable");
        let got: Value = serde_json::from_slice(read.request.into_chat().body()).expect("JSON");
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn no_request_for_a_response_makes_it_panic(request in anything()) {
        let _ = ResponsesRequest::read(request.to_string().into());
        let _ = ResponsesRequest::read(json!({"model": "m", "input": request}).to_string().into());
    }
}
