//! The request that asks a provider to go on from a partial text.
//!
//! The body is the caller's with the text put in behind its last message, or behind its prompt where that is all there
//! is, and its limit of tokens lowered by what came. OpenAI's wire and Anthropic's have the same words for messages.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::edit::{Edit, edited, span_of};
use super::request::ChatRequest;
use super::text_completion;

/// What a model without prefill is told.
const GO_ON: &str = "Your answer above was cut off by a network fault. Continue it from exactly where it stops, beginning \
     with its very next character. Do not repeat any of it, do not comment on the interruption, and finish the answer as \
     you would have.";

/// How a provider is asked to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The text behind a text completion's prompt, as if it had come with it.
    Prompt,
    /// The text as its own last words, which it goes on from by itself.
    Prefill,
    /// The text, and the instruction to go on from it.
    Instruction,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// The fields that are changed, as they stand in the body.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
}

/// What a model is shown as its own last words: some refuse white space at their end.
pub(crate) fn shown_to_prefill(units: &[u16]) -> &[u16] {
    let is_space = |unit: &u16| matches!(unit, 0x09..=0x0d | 0x20);
    let end = units.iter().rposition(|unit| !is_space(unit)).map_or(0, |last| last + 1);
    &units[..end]
}

/// `request`, going on from `partial`, of `tokens` tokens. `None` where its body does not allow that.
pub(crate) fn going_on(request: &ChatRequest, partial: &str, tokens: u64, manner: Manner) -> Option<ChatRequest> {
    let body = request.body_for(&request.model);
    let text = std::str::from_utf8(&body).ok()?;
    let peek: Peek<'_> = serde_json::from_str(text).ok()?;
    let lowered = |limit: Option<&RawValue>| {
        let limit = limit?.get();
        let lowered = limit.parse::<u64>().ok()?.saturating_sub(tokens).max(1);
        Some(Edit { span: span_of(text, limit), text: lowered.to_string() })
    };
    let added = match manner {
        Manner::Prompt => longer_prompt(text, peek.prompt?, partial)?,
        Manner::Prefill | Manner::Instruction => added_messages(text, peek.messages?, partial, manner)?,
    };
    let (tokens, completion_tokens) = (lowered(peek.max_tokens), lowered(peek.max_completion_tokens));
    request.with_body(edited(&body, [Some(&added), tokens.as_ref(), completion_tokens.as_ref()])).ok()
}

/// The prompt, with the text behind it.
fn longer_prompt(text: &str, prompt: &RawValue, partial: &str) -> Option<Edit> {
    let longer = serde_json::to_string(&(text_completion::one_text(prompt)? + partial)).ok()?;
    Some(Edit { span: span_of(text, prompt.get()), text: longer })
}

/// The messages, put in where they belong.
fn added_messages(text: &str, messages: &RawValue, partial: &str, manner: Manner) -> Option<Edit> {
    let list = messages.get();
    let inside = list.strip_prefix('[')?.strip_suffix(']')?;
    let mut added = vec![Message { role: "assistant", content: partial }];
    if manner == Manner::Instruction {
        added.push(Message { role: "user", content: GO_ON });
    }
    let added = serde_json::to_string(&added).ok()?;
    let comma = if inside.trim_ascii().is_empty() { "" } else { "," };
    let end = span_of(text, list).end - 1;
    Some(Edit { span: end..end, text: format!("{comma}{}", added.strip_prefix('[')?.strip_suffix(']')?) })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::operation::Operation;

    fn asked(body: &str, tokens: u64, manner: Manner) -> Value {
        let request = ChatRequest::read(Bytes::copy_from_slice(body.as_bytes())).expect("readable");
        let request = going_on(&request, "Hel\"", tokens, manner).expect("possible");
        serde_json::from_slice(&request.body_for("n")).expect("JSON")
    }

    #[test]
    fn the_text_stands_behind_the_last_message() {
        let body = r#"{"max_tokens": 9, "model":"m","messages":[{"role":"user","content":"x ]"} ],"seed":1.50}"#;
        let got = asked(body, 4, Manner::Prefill);
        let messages = json!([{"role": "user", "content": "x ]"}, {"role": "assistant", "content": "Hel\""}]);
        assert_eq!(got, json!({"max_tokens": 5, "model": "n", "messages": messages, "seed": 1.5}));
        let got = asked(body, 4, Manner::Instruction);
        assert_eq!((&got["messages"][1], &got["messages"][2]["role"]), (&messages[1], &json!("user")));
    }

    #[test]
    fn a_prompt_grows_by_the_text() {
        let body = r#"{"prompt":["Say \"x\": "],"model":"m","max_tokens":9,"seed":1.50}"#;
        let read = ChatRequest::read_for(Operation::TextCompletion, Bytes::from_static(body.as_bytes()));
        let request = going_on(&read.expect("readable"), "Hel\"", 4, Manner::Prompt).expect("possible");
        let expected = r#"{"prompt":"Say \"x\": Hel\"","model":"n","max_tokens":5,"seed":1.50}"#;
        assert_eq!(request.body_for("n"), expected);
        let chat = ChatRequest::read(Bytes::from_static(br#"{"model":"m","messages":[]}"#)).expect("readable");
        assert!(going_on(&chat, "Hel", 4, Manner::Prompt).is_none(), "it has no prompt");
    }

    #[test]
    fn a_limit_is_lowered_but_never_to_nothing() {
        let body = r#"{"model":"m","messages":[ ],"max_completion_tokens":3,"max_tokens":null}"#;
        let got = asked(body, 7, Manner::Prefill);
        assert_eq!((&got["max_completion_tokens"], &got["max_tokens"]), (&json!(1), &Value::Null));
        assert_eq!(got["messages"], json!([{"role": "assistant", "content": "Hel\""}]));
    }
}
