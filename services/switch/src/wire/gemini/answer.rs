//! A whole answer as a chat completion.

use serde_json::Value;

use super::parts::{self, Said};
use super::{counted, ended};
use crate::wire::Malformed;
use crate::wire::json::{count, get, list, text};
use crate::wire::openai::{Head, choice, message};

/// Translates an answer that came in at `created` (Unix seconds).
pub(crate) fn answer(response: &Value, created: u64) -> Result<Value, Malformed> {
    let mut head = Head { created, ..Head::default() };
    name(response, &mut head);
    let usage = get(response, "usageMetadata").and_then(counted::read);
    let mut choices = Vec::new();
    for candidate in list(response, "candidates") {
        choices.push(self::candidate(candidate, &head.id)?);
    }
    if choices.is_empty() {
        let reason = blocked(response).ok_or(Malformed)?;
        let message = [("role", "assistant".into()), ("content", Value::Null), ("refusal", refusal(reason).into())];
        let message = message.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        choices.push(choice(0, message, "content_filter"));
    }
    Ok(head.completion(choices, usage))
}

/// Takes over what an answer says about itself; the parts of a stream repeat it.
pub(super) fn name(response: &Value, head: &mut Head) {
    if let Some(id) = text(response, "responseId") {
        id.clone_into(&mut head.id);
    }
    if let Some(model) = text(response, "modelVersion") {
        model.clone_into(&mut head.model);
    }
}

/// Why the prompt was refused, where it was. There is no candidate then.
pub(super) fn blocked(response: &Value) -> Option<&str> {
    text(get(response, "promptFeedback")?, "blockReason")
}

/// What the caller is told of a refused prompt.
pub(super) fn refusal(reason: &str) -> String {
    format!("the provider refused the prompt: {reason}")
}

fn candidate(candidate: &Value, id: &str) -> Result<Value, Malformed> {
    let (mut content, mut reasoning) = (String::new(), String::new());
    let (mut calls, mut images) = (Vec::new(), Vec::new());
    let said = get(candidate, "content").map(|content| list(content, "parts")).unwrap_or_default();
    for part in said {
        match parts::read(part, id, calls.len() as u64) {
            Some(Said::Text(text)) => content += text,
            Some(Said::Thought(text)) => reasoning += text,
            Some(Said::Call(call)) => calls.push(call),
            Some(Said::Image(image)) => images.push(image),
            None => {}
        }
    }
    let reason = ended::reason(text(candidate, "finishReason").unwrap_or_default(), !calls.is_empty())?;
    let mut message = message(content, reasoning, calls);
    if !images.is_empty() {
        message.insert("images".to_owned(), images.into());
    }
    Ok(choice(count(candidate, "index"), message, reason))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn candidates_become_choices() {
        let response = json!({
            "responseId": "r1", "modelVersion": "gemini", "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
            "candidates": [
                {"content": {"role": "model", "parts": [{"text": "hm", "thought": true}, {"text": "a"}, {"text": "b"}]}, "finishReason": "STOP", "index": 0},
                {"content": {"parts": [{"functionCall": {"name": "f", "args": {"x": 1}}}]}, "finishReason": "STOP", "index": 1},
            ],
        });
        let expected = json!({
            "id": "r1", "object": "chat.completion", "created": 7, "model": "gemini",
            "choices": [
                {"index": 0, "logprobs": null, "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "ab", "refusal": null, "reasoning_content": "hm"}},
                {"index": 1, "logprobs": null, "finish_reason": "tool_calls", "message": {
                    "role": "assistant", "content": null, "refusal": null,
                    "tool_calls": [{"id": "call_r1_0", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}],
                }},
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "prompt_tokens_details": {"cached_tokens": 0}},
        });
        assert_eq!(answer(&response, 7), Ok(expected));
    }

    #[test]
    fn an_image_is_part_of_the_answer() {
        let parts = json!([{"text": "here"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}]);
        let response = json!({"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]});
        let got = answer(&response, 0).expect("an answer");
        let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}});
        assert_eq!(got["choices"][0]["message"]["content"], "here");
        assert_eq!(got["choices"][0]["message"]["images"], json!([image]));
    }

    #[test]
    fn a_refused_prompt_is_a_filtered_answer() {
        let got = answer(&json!({"promptFeedback": {"blockReason": "SAFETY"}}), 0).expect("an answer");
        assert_eq!(got["choices"][0]["finish_reason"], "content_filter");
        assert_eq!(got["choices"][0]["message"]["refusal"], "the provider refused the prompt: SAFETY");
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        let failed = json!({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]});
        for body in [json!({}), json!([]), json!({"candidates": []}), json!({"candidates": [{}]}), failed] {
            assert_eq!(answer(&body, 0), Err(Malformed), "{body}");
        }
    }
}
