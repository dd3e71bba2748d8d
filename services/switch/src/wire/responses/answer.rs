//! A whole response as a chat completion.

use serde_json::Value;

use super::{counted, ended};
use crate::wire::Malformed;
use crate::wire::json::{count, list, text};
use crate::wire::openai::{Head, choice, message, tool_call};

/// Translates an answer.
pub(crate) fn answer(response: &Value) -> Result<Value, Malformed> {
    if text(response, "object") != Some("response") || !response["output"].is_array() {
        return Err(Malformed);
    }
    let head = Head {
        id: text(response, "id").unwrap_or_default().to_owned(),
        model: text(response, "model").unwrap_or_default().to_owned(),
        created: count(response, "created_at"),
    };
    let Said { content, reasoning, calls } = Said::of(list(response, "output"));
    let status = text(response, "status").unwrap_or_default();
    let reason = ended::reason(status, response, !calls.is_empty());
    let choices = vec![choice(0, message(content, reasoning, calls), reason)];
    Ok(counted::served(response, head.completion(choices, counted::usage(response))))
}

/// What the items of an output say. What tools of the provider's own did has no words in a chat.
#[derive(Default)]
struct Said {
    content: String,
    reasoning: String,
    calls: Vec<Value>,
}

impl Said {
    fn of(items: &[Value]) -> Self {
        let mut said = Self::default();
        for item in items {
            said.add(item);
        }
        said
    }

    fn add(&mut self, item: &Value) {
        let word = |name: &str| text(item, name).unwrap_or_default();
        match word("type") {
            "message" => self.content.extend(parts(item, "content", &["text", "refusal"])),
            "reasoning" => {
                self.reasoning.extend(parts(item, "summary", &["text"]));
                self.reasoning.extend(parts(item, "content", &["text"]));
            }
            "function_call" => self.calls.push(tool_call(word("call_id"), word("name"), word("arguments"))),
            "custom_tool_call" => self.calls.push(tool_call(word("call_id"), word("name"), word("input"))),
            _ => {}
        }
    }
}

/// The texts of an item's parts, under whichever of `names` they have.
fn parts<'v>(item: &'v Value, field: &str, names: &'v [&'v str]) -> impl Iterator<Item = &'v str> {
    list(item, field).iter().flat_map(move |part| names.iter().filter_map(move |name| text(part, name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_response_says_is_one_choice() {
        let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
        let response = json!({
            "id": "resp_1", "object": "response", "created_at": 7, "model": "gpt-5-codex", "status": "completed",
            "service_tier": "flex",
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
                {"type": "web_search_call", "status": "completed"},
                {"type": "message", "role": "assistant", "content": [part("one "), part("two")]},
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{\"x\":1}"},
                {"type": "custom_tool_call", "call_id": "b", "name": "g", "input": "ls"},
            ],
            "usage": {"input_tokens": 3, "output_tokens": 2},
        });
        let expected = json!({
            "id": "resp_1", "object": "chat.completion", "created": 7, "model": "gpt-5-codex", "service_tier": "flex",
            "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "one two", "refusal": null, "reasoning_content": "hm",
                "tool_calls": [tool_call("a", "f", "{\"x\":1}"), tool_call("b", "g", "ls")],
            }}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}},
        });
        assert_eq!(answer(&response), Ok(expected));
    }

    #[test]
    fn what_is_no_response_is_not_taken_for_one() {
        for body in
            [json!({}), json!([]), json!({"object": "chat.completion", "choices": []}), json!({"object": "response"})]
        {
            assert_eq!(answer(&body), Err(Malformed), "{body}");
        }
    }
}
