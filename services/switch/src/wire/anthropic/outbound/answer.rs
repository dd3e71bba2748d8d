//! A whole message as a chat completion.

use serde_json::Value;

use super::super::{counted, stop};
use super::answer_tool;
use crate::wire::Malformed;
use crate::wire::json::{Object, get, list, said, text};
use crate::wire::openai::{Head, Usage, choice, message, tool_call};

/// Translates an answer that came in at `created` (Unix seconds).
pub(crate) fn answer(message: &Value, created: u64) -> Result<Value, Malformed> {
    if text(message, "type") != Some("message") || !message["content"].is_array() {
        return Err(Malformed);
    }
    let head = Head {
        id: text(message, "id").unwrap_or_default().to_owned(),
        model: text(message, "model").unwrap_or_default().to_owned(),
        created,
    };
    let usage = get(message, "usage").filter(|reported| counted::says_written(reported)).map(|reported| {
        let mut usage = Usage::default();
        counted::take(&mut usage, reported);
        usage
    });
    let (blocks, mut reason) = (list(message, "content"), text(message, "stop_reason").unwrap_or_default());
    if blocks.iter().any(answer_tool::is_answer) {
        reason = answer_tool::reason(reason);
    }
    Ok(head.completion(vec![choice(0, said_in(blocks), stop::to_openai(reason))], usage))
}

/// What the blocks say, as one message. Blocks of tools that ran at the provider say nothing to the caller.
fn said_in(blocks: &[Value]) -> Object {
    let (mut content, mut reasoning) = (String::new(), String::new());
    let (mut calls, mut thoughts) = (Vec::new(), Vec::new());
    for block in blocks {
        match text(block, "type") {
            Some("text") => content += text(block, "text").unwrap_or_default(),
            Some("thinking") => {
                reasoning += text(block, "thinking").unwrap_or_default();
                thoughts.push(block.clone());
            }
            Some("redacted_thinking") => thoughts.push(block.clone()),
            Some("tool_use") if answer_tool::is_answer(block) => {
                content += &get(block, "input").map_or_else(|| "{}".to_owned(), Value::to_string);
            }
            Some("tool_use") => {
                let arguments = get(block, "input").map_or_else(|| "{}".to_owned(), Value::to_string);
                let name = text(block, "name").unwrap_or_default();
                calls.push(tool_call(text(block, "id").unwrap_or_default(), name, &arguments));
            }
            _ => {}
        }
    }
    let mut message = message(content, reasoning, calls);
    // Their signatures are needed when they are sent back.
    if thoughts.iter().any(|thought| said(thought, "signature").or_else(|| said(thought, "data")).is_some()) {
        message.insert("thinking_blocks".to_owned(), thoughts.into());
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_with_thought_text_and_calls_is_one_choice() {
        let thought = json!({"type": "thinking", "thinking": "hm", "signature": "sig"});
        let message = json!({
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use",
            "content": [
                thought, {"type": "text", "text": "one "}, {"type": "server_tool_use", "id": "x"},
                {"type": "text", "text": "two"}, {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
            ],
            "usage": {"input_tokens": 3, "output_tokens": 2, "cache_read_input_tokens": 4},
        });
        let expected = json!({
            "id": "msg_1", "object": "chat.completion", "created": 7, "model": "claude",
            "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "one two", "refusal": null, "reasoning_content": "hm",
                "thinking_blocks": [thought],
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ],
            }}],
            "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}},
        });
        assert_eq!(answer(&message, 7), Ok(expected));
    }

    #[test]
    fn an_answer_that_is_given_by_a_tool_is_text() {
        let block = json!({"type": "tool_use", "id": "a", "name": "vx11_answer", "input": {"x": 1}});
        for (reason, told) in [("tool_use", "stop"), ("max_tokens", "length")] {
            let message = json!({"type": "message", "content": [block], "stop_reason": reason});
            let answer = answer(&message, 7).expect("an answer");
            let choice = &answer["choices"][0];
            assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!(r#"{"x":1}"#), &json!(told)));
            assert_eq!(choice["message"].get("tool_calls"), None);
        }
    }

    #[test]
    fn usage_that_is_not_reported_is_not_made_up() {
        for usage in [json!(null), json!({})] {
            let message = json!({"type": "message", "content": [], "stop_reason": "end_turn", "usage": usage});
            assert_eq!(answer(&message, 7).expect("an answer").get("usage"), None);
        }
    }

    #[test]
    fn what_is_no_message_is_malformed() {
        for body in
            [json!({}), json!([]), json!({"type": "error", "error": {}}), json!({"type": "message", "content": "x"})]
        {
            assert_eq!(answer(&body, 0), Err(Malformed), "{body}");
        }
    }
}
