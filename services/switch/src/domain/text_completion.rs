//! Text completions (`/v1/completions`, OpenAI's older way) as chat, for providers that only chat.
//!
//! What has no counterpart in a chat is refused by name, never dropped. What is a text completion already passes as it
//! came, so that one answer may come from providers of both sorts.
//!
//! Source: OpenAI's API reference, "Completions".

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::request::BadRequest;

/// How many answers `prompt`, as it stands, asks for. Several texts or token lists are several prompts.
pub(super) fn prompts(prompt: &str) -> u32 {
    let many: Result<Vec<&RawValue>, _> = serde_json::from_str(prompt);
    match many.as_deref() {
        Ok([first, ..]) if first.get().starts_with(['"', '[']) => many.map_or(1, |many| many.len().max(1) as u32),
        _ => 1,
    }
}

/// The chat completion that asks for the same as the text completion in `body`.
///
/// # Errors
/// The field that a chat has no counterpart for.
pub(super) fn as_chat(body: &[u8]) -> Result<Bytes, BadRequest> {
    let malformed = |error: serde_json::Error| BadRequest::Malformed(error.to_string());
    // As they stand, so that numbers and the order of fields arrive as they were written.
    let mut fields: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(body).map_err(malformed)?;
    let prompt = fields.remove("prompt");
    let prompt = prompt.as_deref().and_then(one_text).ok_or_else(|| unable("prompt", "must be one text"))?;
    for (name, harmless) in [("echo", "false"), ("suffix", r#""""#), ("best_of", "1"), ("logprobs", "null")] {
        if fields.remove(name).is_some_and(|value| !["null", harmless].contains(&value.get())) {
            return Err(unable(name, "cannot be kept"));
        }
    }
    let messages = to_raw_value(&json!([{ "role": "user", "content": prompt }])).map_err(malformed)?;
    fields.insert("messages".to_owned(), messages);
    serde_json::to_vec(&fields).map(Bytes::from).map_err(malformed)
}

/// The text of a prompt that is one.
pub(super) fn one_text(prompt: &RawValue) -> Option<String> {
    let one: Result<[String; 1], _> = serde_json::from_str(prompt.get());
    one.map(|[text]| text).or_else(|_| serde_json::from_str(prompt.get())).ok()
}

fn unable(name: &'static str, problem: &str) -> BadRequest {
    BadRequest::Field { name: name.into(), problem: format!("{problem}, because the model's providers only chat") }
}

/// What a body or a chunk is, by its first choice, or by its name where it has none.
#[derive(Deserialize)]
struct Shape {
    object: Option<String>,
    #[serde(default)]
    choices: Vec<ShapeOfChoice>,
}

#[derive(Deserialize)]
struct ShapeOfChoice {
    message: Option<IgnoredAny>,
    delta: Option<IgnoredAny>,
}

/// A whole chat completion as a text completion; `None` where it is to be passed on as it came.
pub(crate) fn from_completion(body: &[u8]) -> Option<Bytes> {
    translate(body, "message")
}

/// What becomes of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// It is one of a text completion already, or of no choice.
    AsItCame,
    /// It is this.
    Instead(Bytes),
    /// It says nothing that a text completion has a place for.
    Nothing,
}

/// A chunk of a chat completion as one of a text completion.
pub(crate) fn from_chunk(data: &[u8]) -> Chunk {
    let Some(chunk) = translate(data, "delta") else { return Chunk::AsItCame };
    #[derive(Deserialize)]
    struct Said {
        choices: Vec<SaidChoice>,
    }
    #[derive(Deserialize)]
    struct SaidChoice {
        text: String,
        finish_reason: Option<IgnoredAny>,
    }
    let says_nothing = |choice: &SaidChoice| choice.text.is_empty() && choice.finish_reason.is_none();
    match serde_json::from_slice::<Said>(&chunk) {
        Ok(said) if !said.choices.is_empty() && said.choices.iter().all(says_nothing) => Chunk::Nothing,
        _ => Chunk::Instead(chunk),
    }
}

fn translate(body: &[u8], content_in: &str) -> Option<Bytes> {
    let Shape { object, choices } = serde_json::from_slice(body).ok()?;
    let is_of_chat = match choices.first() {
        Some(choice) => choice.message.is_some() || choice.delta.is_some(),
        None => object.is_some_and(|object| object.starts_with("chat.")),
    };
    if !is_of_chat {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
    fields.insert("object".to_owned(), json!("text_completion"));
    for choice in fields.get_mut("choices")?.as_array_mut()? {
        let said = choice.get_mut(content_in).and_then(|said| said.get_mut("content")).map(Value::take);
        *choice = json!({
            "index": choice["index"].as_u64().unwrap_or(0),
            "text": said.filter(Value::is_string).unwrap_or_else(|| json!("")),
            "logprobs": null,
            "finish_reason": choice["finish_reason"],
        });
    }
    Some(Value::Object(fields).to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(body: Value) -> Result<Value, BadRequest> {
        as_chat(body.to_string().as_bytes()).map(|body| serde_json::from_slice(&body).expect("JSON"))
    }

    #[test]
    fn a_prompt_becomes_a_message_and_the_rest_goes_along() {
        let body = json!({ "model": "m", "prompt": "Say hi", "max_tokens": 5, "echo": false, "best_of": 1,
            "suffix": null, "logprobs": null, "stop": ["x"], "vendor": { "a": 1 } });
        let expected = json!({ "model": "m", "messages": [{ "role": "user", "content": "Say hi" }], "max_tokens": 5,
            "stop": ["x"], "vendor": { "a": 1 } });
        assert_eq!(chat(body), Ok(expected));
        assert!(chat(json!({ "model": "m", "prompt": ["one"] })).is_ok());
    }

    #[test]
    fn what_a_chat_cannot_do_is_refused_by_name() {
        for (field, value) in [
            ("prompt", json!(["one", "two"])),
            ("prompt", json!([1, 2, 3])),
            ("echo", json!(true)),
            ("suffix", json!("end")),
            ("best_of", json!(3)),
            ("logprobs", json!(2)),
        ] {
            let mut body = json!({ "model": "m", "prompt": "x" });
            body[field] = value;
            assert!(matches!(chat(body), Err(BadRequest::Field { name, .. }) if name == field), "{field}");
        }
    }

    #[test]
    fn prompts_are_counted() {
        for (prompt, count) in [("\"a\"", 1), ("[\"a\",\"b\"]", 2), ("[1,2,3]", 1), ("[[1],[2,3]]", 2), ("[]", 1)] {
            assert_eq!(prompts(prompt), count, "{prompt}");
        }
    }

    #[test]
    fn an_answer_is_turned_around_and_one_of_its_kind_is_left_alone() {
        let chat = br#"{"id":"c1","object":"chat.completion","model":"m","choices":[
            {"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"},
            {"index":1,"message":{"role":"assistant","content":null},"finish_reason":"length"}],"usage":{"total_tokens":3}}"#;
        let text: Value = serde_json::from_slice(&from_completion(chat).expect("turned around")).expect("JSON");
        let choices = json!([{ "index": 0, "text": "hi", "logprobs": null, "finish_reason": "stop" },
            { "index": 1, "text": "", "logprobs": null, "finish_reason": "length" }]);
        assert_eq!(
            text,
            json!({ "id": "c1", "object": "text_completion", "model": "m", "choices": choices, "usage": { "total_tokens": 3 } })
        );
        assert_eq!(from_completion(text.to_string().as_bytes()), None);
    }

    #[test]
    fn chunks_are_turned_around_one_by_one() {
        assert_eq!(
            from_chunk(br#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#),
            Chunk::Nothing
        );
        assert_eq!(from_chunk(br#"{"choices":[],"usage":{"total_tokens":1}}"#), Chunk::AsItCame);
        assert_eq!(from_chunk(br#"{"choices":[{"index":0,"text":"hi"}]}"#), Chunk::AsItCame);
        let usage = br#"{"object":"chat.completion.chunk","choices":[],"usage":null}"#;
        let renamed = Bytes::from_static(br#"{"choices":[],"object":"text_completion","usage":null}"#);
        assert_eq!(from_chunk(usage), Chunk::Instead(renamed));
        let Chunk::Instead(last) =
            from_chunk(br#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
        else {
            panic!("the end says something")
        };
        assert_eq!(
            last,
            r#"{"choices":[{"finish_reason":"stop","index":0,"logprobs":null,"text":""}],"id":"c","object":"text_completion"}"#
        );
    }
}
