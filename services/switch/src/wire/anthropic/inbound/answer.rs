//! A chat completion as one message.

use serde_json::{Value, json};
use vx11_contracts::chat;

use super::super::{counted, stop};
use super::reasoning;
use crate::wire::json::{arguments, get, list, said, text};
use crate::wire::openai::{Usage, thought_signature};
use crate::wire::{Malformed, signed_id};

/// Translates the first choice of a completion; Anthropic's wire has no second one.
pub(crate) fn answer(completion: &Value) -> Result<Value, Malformed> {
    let choice = list(completion, "choices").first().ok_or(Malformed)?;
    let message = get(choice, "message").ok_or(Malformed)?;
    let calls_tools = !list(message, "tool_calls").is_empty();
    let ended = text(choice, "finish_reason").unwrap_or_default();
    let reason = stop::to_anthropic(ended, calls_tools);
    let usage = get(completion, "usage").and_then(Usage::read).unwrap_or_default();
    Ok(json!({
        "id": message_id(text(completion, "id").unwrap_or_default()),
        "type": "message",
        "role": "assistant",
        "model": text(completion, "model").unwrap_or_default(),
        "content": blocks(message, ended == "length")?,
        "stop_reason": reason,
        "stop_sequence": null,
        "usage": counted::write(usage),
    }))
}

/// `message` with an estimate of what it has cost: there is none without that.
pub(crate) fn with_usage(mut message: Value, estimate: chat::Usage) -> Value {
    message["usage"] = counted::write(Usage::estimated(estimate));
    message
}

/// The id of a message, after that of the completion.
pub(super) fn message_id(id: &str) -> String {
    if id.starts_with("msg_") { id.to_owned() } else { format!("msg_{id}") }
}

/// The id of a tool call; some servers leave it out. A signature that is to come back with the call is in it.
pub(super) fn call_id(call: &Value, index: u64) -> String {
    let id = said(call, "id").map_or_else(|| format!("toolu_{index}"), str::to_owned);
    match thought_signature(call) {
        Some(signature) => signed_id::join(&id, signature),
        None => id,
    }
}

/// What the message says. In one that was `cut_off` at the caller's own limit the input of a call may be half, which
/// this wire has no way to say: it is left out.
fn blocks(message: &Value, cut_off: bool) -> Result<Vec<Value>, Malformed> {
    let mut blocks = list(message, "thinking_blocks").to_vec();
    if blocks.is_empty()
        && let Some((name, reasoning)) = reasoning::said_in(message)
    {
        blocks.push(json!({"type": "thinking", "thinking": reasoning, "signature": name.signature()}));
    }
    let texts = [said(message, "content"), said(message, "refusal")];
    blocks.extend(texts.into_iter().flatten().map(|text| json!({"type": "text", "text": text})));
    for (call, index) in list(message, "tool_calls").iter().zip(0..) {
        let function = get(call, "function").ok_or(Malformed)?;
        let input = match arguments(text(function, "arguments").unwrap_or_default()) {
            None if cut_off => json!({}),
            input => input.ok_or(Malformed)?,
        };
        let name = text(function, "name").ok_or(Malformed)?;
        blocks.push(json!({"type": "tool_use", "id": call_id(call, index), "name": name, "input": input}));
    }
    Ok(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completion_becomes_one_message() {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
        let completion = json!({
            "id": "c1", "model": "gpt", "choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": "hi", "reasoning_content": "hm", "tool_calls": [call],
            }}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4}},
        });
        let expected = json!({
            "id": "msg_c1", "type": "message", "role": "assistant", "model": "gpt", "stop_reason": "tool_use", "stop_sequence": null,
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "hi"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
            ],
            "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 2},
        });
        assert_eq!(answer(&completion), Ok(expected));
    }

    #[test]
    fn arguments_that_were_cut_off_are_left_out() {
        let call = |arguments: &str| json!({"id": "a", "function": {"name": "f", "arguments": arguments}});
        let calls = [call("{\"x\":1}"), call("{\"x\":")];
        let choice = json!({"finish_reason": "length", "message": {"tool_calls": calls}});
        let message = answer(&json!({"choices": [choice]})).expect("an answer");
        assert_eq!(message["stop_reason"], "max_tokens");
        assert_eq!((&message["content"][0]["input"], &message["content"][1]["input"]), (&json!({"x": 1}), &json!({})));
    }

    #[test]
    fn a_signature_travels_in_the_id_of_its_call() {
        let call = json!({"id": "a", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {"thought_signature": "s/="}}});
        let got =
            answer(&json!({"choices": [{"message": {"reasoning": "hm", "tool_calls": [call]}}]})).expect("an answer");
        assert_eq!(got["content"][0]["signature"], "reasoning");
        let id = got["content"][1]["id"].as_str().expect("text");
        assert_eq!(signed_id::split(id), ("a", Some("s/=".to_owned())));
    }

    #[test]
    fn arguments_that_are_no_object_are_no_answer() {
        for completion in [
            json!({}),
            json!({"choices": [{}]}),
            json!({"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{\"x\":"}}]}}]}),
        ] {
            assert_eq!(answer(&completion), Err(Malformed), "{completion}");
        }
    }
}
