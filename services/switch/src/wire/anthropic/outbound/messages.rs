//! The conversation: OpenAI's messages as Anthropic's turns, in which user and assistant alternate, tool results are
//! the user's, and what the system says stands apart.

use serde_json::{Value, json};

use super::parts;
use crate::wire::json::{arguments, copy, get, list, said, text};
use crate::wire::turns::{SYSTEM, Turns};
use crate::wire::{Untranslatable, signed_id};

/// Translates `messages`: what the system says, as text blocks, and the turns.
pub(super) fn conversation(pivot: &Value) -> Result<(Vec<Value>, Vec<Value>), Untranslatable> {
    let mut turns = Turns::of(list(pivot, "messages"), |message, _| turn(message))?;
    let messages = turns.messages("content");
    Ok((turns.system, messages))
}

/// Whose turn a message is, and what is said in it.
fn turn(message: &Value) -> Result<(&'static str, Vec<Value>), Untranslatable> {
    match text(message, "role") {
        Some("system" | "developer") => Ok((SYSTEM, parts::blocks(message)?)),
        Some("user") => Ok(("user", parts::blocks(message)?)),
        Some("assistant") => Ok(("assistant", assistant(message)?)),
        Some("tool") => Ok(("user", vec![tool_result(message)?])),
        Some(role) => Err(Untranslatable::new("role", format!("Anthropic's wire has no role `{role}`"))),
        None => Err(Untranslatable::new("role", "is required")),
    }
}

fn assistant(message: &Value) -> Result<Vec<Value>, Untranslatable> {
    // Signed thoughts, as they were handed out with the answer, must come back before everything else.
    let mut blocks = list(message, "thinking_blocks").to_vec();
    blocks.extend(parts::blocks(message)?);
    if let Some(refusal) = said(message, "refusal") {
        blocks.push(parts::text_block(refusal));
    }
    for (index, call) in list(message, "tool_calls").iter().enumerate() {
        blocks.push(tool_use(call).map_err(|error| error.within(&format!("tool_calls[{index}]")))?);
    }
    Ok(blocks)
}

fn tool_use(call: &Value) -> Result<Value, Untranslatable> {
    let required = |field: &str| Untranslatable::new(field, "is required");
    let function = get(call, "function").ok_or_else(|| required("function"))?;
    let id = text(call, "id").ok_or_else(|| required("id"))?;
    let name = text(function, "name").ok_or_else(|| required("function.name"))?;
    let input = arguments(text(function, "arguments").unwrap_or_default());
    let input = input.ok_or_else(|| Untranslatable::new("function.arguments", "must be a JSON object"))?;
    Ok(json!({"type": "tool_use", "id": tool_id(id), "name": name, "input": input}))
}

fn tool_result(message: &Value) -> Result<Value, Untranslatable> {
    let id = text(message, "tool_call_id").ok_or_else(|| Untranslatable::new("tool_call_id", "is required"))?;
    let content = match get(message, "content") {
        Some(Value::String(text)) => json!(text),
        _ => parts::blocks(message)?.into(),
    };
    let mut block = json!({"type": "tool_result", "tool_use_id": tool_id(id), "content": content});
    if let Some(block) = block.as_object_mut() {
        copy(message, block, &["cache_control"]);
    }
    Ok(block)
}

/// The id of a call in letters that this wire takes. Other servers' ids may have more (`functions.f:0`): what is
/// foreign is told by its number, on the call and on its result alike.
fn tool_id(id: &str) -> String {
    let id = signed_id::split(id).0;
    let mut out = String::with_capacity(id.len());
    for byte in id.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => out.push(byte.into()),
            _ => out += &format!("_{byte:02x}"),
        }
    }
    if out.is_empty() { "_".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(messages: Value) -> (Vec<Value>, Vec<Value>) {
        conversation(&json!({"messages": messages})).expect("translatable")
    }

    #[test]
    fn parallel_calls_and_their_results_are_one_turn_each() {
        let call = |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
        let got = translate(json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": null, "tool_calls": [call("a", "{\"x\":1}"), call("b", "")]},
            {"role": "tool", "tool_call_id": "a", "content": "one"},
            {"role": "tool", "tool_call_id": "b", "content": [{"type": "text", "text": "two"}]},
            {"role": "user", "content": "and?"},
        ]));
        let expected = [
            json!({"role": "user", "content": [{"type": "text", "text": "go"}]}),
            json!({"role": "assistant", "content": [
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "f", "input": {}},
            ]}),
            json!({"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "one"},
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "two"}]},
                {"type": "text", "text": "and?"},
            ]}),
        ];
        assert_eq!(got.1, expected);
    }

    #[test]
    fn the_ids_of_calls_have_letters_that_are_taken_and_stay_apart() {
        let ids = ["functions.f:0", "functions.f:1", "functions_f_0", "toolu_01-A", "", "\u{e9}"];
        let calls: Vec<Value> = ids.iter().map(|id| json!({"id": id, "function": {"name": "f"}})).collect();
        let results = ids.iter().map(|id| json!({"role": "tool", "tool_call_id": id, "content": "1"}));
        let got = translate([json!({"role": "assistant", "tool_calls": calls})].into_iter().chain(results).collect());
        let of = |turn: usize, field: &str| -> Vec<String> {
            list(&got.1[turn], "content").iter().map(|block| text(block, field).expect("an id").to_owned()).collect()
        };
        let expected =
            ["functions_2ef_3a0", "functions_2ef_3a1", "functions_f_0", "toolu_01-A", "_", "_c3_a9"].map(str::to_owned);
        assert_eq!((of(0, "id"), of(1, "tool_use_id")), (expected.to_vec(), expected.to_vec()));
    }

    #[test]
    fn what_the_system_says_stands_apart_and_signed_thoughts_go_first() {
        let thought = json!({"type": "thinking", "thinking": "hm", "signature": "s"});
        let got = translate(json!([
            {"role": "developer", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]},
            {"role": "assistant", "content": "yes", "thinking_blocks": [thought], "reasoning_content": "hm"},
            {"role": "system", "content": "b"},
        ]));
        let system = [
            json!({"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}),
            json!({"type": "text", "text": "b"}),
        ];
        assert_eq!(got.0, system);
        assert_eq!(got.1, [json!({"role": "assistant", "content": [thought, {"type": "text", "text": "yes"}]})]);
    }

    #[test]
    fn a_message_that_cannot_be_translated_is_named() {
        let refused = |message: Value| {
            let messages = json!([{"role": "user", "content": "x"}, message]);
            conversation(&json!({"messages": messages})).expect_err("refused").field
        };
        let call = |function: Value| json!({"role": "assistant", "tool_calls": [{"id": "a", "function": function}]});
        for (message, field) in [
            (json!({"role": "function", "name": "f"}), "messages[1].role"),
            (json!({"content": "x"}), "messages[1].role"),
            (json!({"role": "tool", "content": "x"}), "messages[1].tool_call_id"),
            (json!({"role": "user", "content": 7}), "messages[1].content"),
            (json!({"role": "user", "content": [{"type": "input_audio"}]}), "messages[1].content[0].type"),
            (call(json!({"name": "f", "arguments": "[1]"})), "messages[1].tool_calls[0].function.arguments"),
            (call(json!({"arguments": "{}"})), "messages[1].tool_calls[0].function.name"),
        ] {
            assert_eq!(refused(message), field);
        }
    }
}
