//! The conversation: OpenAI's messages as Gemini's contents, in which the model's turns and the user's alternate.

use serde_json::{Value, json};

use crate::wire::json::{arguments, get, list, text};
use crate::wire::openai::thought_signature;
use crate::wire::turns::{SYSTEM, Turns};
use crate::wire::{Untranslatable, data_url, signed_id};

/// Stands for the signature of a thought that was another model's, as Google's guide to "Thought signatures" has it.
const FOREIGN: &str = "skip_thought_signature_validator";

/// Translates `messages`: what the system says, as text parts, and the turns. With `signed`, the first call of each
/// turn has a signature, whoever made it.
pub(super) fn conversation(pivot: &Value, signed: bool) -> Result<(Vec<Value>, Vec<Value>), Untranslatable> {
    let mut turns = Turns::of(list(pivot, "messages"), |message, before| turn(message, before, signed))?;
    let contents = turns.messages("parts");
    Ok((turns.system, contents))
}

fn turn(message: &Value, before: &[Value], signed: bool) -> Result<(&'static str, Vec<Value>), Untranslatable> {
    match text(message, "role") {
        Some("system" | "developer") => Ok((SYSTEM, content(message)?)),
        Some("user") => Ok(("user", content(message)?)),
        Some("assistant") => Ok(("model", assistant(message, signed)?)),
        Some("tool") => Ok(("user", vec![function_response(message, before)?])),
        Some(role) => Err(Untranslatable::new("role", format!("Gemini's wire has no role `{role}`"))),
        None => Err(Untranslatable::new("role", "is required")),
    }
}

fn content(message: &Value) -> Result<Vec<Value>, Untranslatable> {
    match get(message, "content") {
        None => Ok(Vec::new()),
        Some(Value::String(text)) if text.is_empty() => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(vec![json!({"text": text})]),
        Some(Value::Array(parts)) => {
            let part = |(index, part)| self::part(part).map_err(|error| error.within(&format!("content[{index}]")));
            parts.iter().enumerate().map(part).collect()
        }
        Some(_) => Err(Untranslatable::new("content", "must be text or a list of parts")),
    }
}

fn part(part: &Value) -> Result<Value, Untranslatable> {
    match text(part, "type") {
        Some("text") => Ok(json!({"text": text(part, "text").unwrap_or_default()})),
        Some("refusal") => Ok(json!({"text": text(part, "refusal").unwrap_or_default()})),
        Some("image_url") => {
            let url = get(part, "image_url").and_then(|image| image.as_str().or_else(|| text(image, "url")));
            media(url, "image_url.url")
        }
        Some("file") => media(get(part, "file").and_then(|file| text(file, "file_data")), "file.file_data"),
        Some("input_audio") => audio(part),
        Some(kind) => Err(Untranslatable::new("type", format!("Gemini's wire has no counterpart of `{kind}`"))),
        None => Err(Untranslatable::new("type", "is required")),
    }
}

fn media(url: Option<&str>, field: &str) -> Result<Value, Untranslatable> {
    let url = url.ok_or_else(|| Untranslatable::new(field, "is required"))?;
    if let Some((mime_type, data)) = data_url::split(url) {
        return Ok(json!({"inlineData": {"mimeType": mime_type, "data": data}}));
    }
    if ["https://", "http://", "gs://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Ok(json!({"fileData": {"fileUri": url}}));
    }
    Err(Untranslatable::new(field, "must be an http, https or gs address, or a base64 data URL"))
}

fn audio(part: &Value) -> Result<Value, Untranslatable> {
    let field = |name: &str| {
        let value = get(part, "input_audio").and_then(|audio| text(audio, name));
        value.ok_or_else(|| Untranslatable::new(format!("input_audio.{name}"), "is required"))
    };
    Ok(json!({"inlineData": {"mimeType": format!("audio/{}", field("format")?), "data": field("data")?}}))
}

fn assistant(message: &Value, signed: bool) -> Result<Vec<Value>, Untranslatable> {
    let mut out = content(message)?;
    for (index, call) in list(message, "tool_calls").iter().enumerate() {
        let mut part = function_call(call).map_err(|error| error.within(&format!("tool_calls[{index}]")))?;
        // Of calls that were made at once only the first one is signed.
        let missing = (signed && index == 0).then(|| FOREIGN.to_owned());
        if let Some(signature) = signature(call).or(missing) {
            part["thoughtSignature"] = signature.into();
        }
        out.push(part);
    }
    Ok(out)
}

/// The signature that came with a call: beside it, or in its id where its caller's wire has no other place.
fn signature(call: &Value) -> Option<String> {
    thought_signature(call).map(str::to_owned).or_else(|| signed_id::split(text(call, "id")?).1)
}

fn function_call(call: &Value) -> Result<Value, Untranslatable> {
    let function = get(call, "function").ok_or_else(|| Untranslatable::new("function", "is required"))?;
    let name = text(function, "name").ok_or_else(|| Untranslatable::new("function.name", "is required"))?;
    let args = arguments(text(function, "arguments").unwrap_or_default());
    let args = args.ok_or_else(|| Untranslatable::new("function.arguments", "must be a JSON object"))?;
    Ok(json!({"functionCall": {"name": name, "args": args}}))
}

/// A result. Gemini wants the function's name, which stands in the call that it answers.
fn function_response(message: &Value, before: &[Value]) -> Result<Value, Untranslatable> {
    let id = text(message, "tool_call_id").ok_or_else(|| Untranslatable::new("tool_call_id", "is required"))?;
    let mut calls = before.iter().rev().flat_map(|message| list(message, "tool_calls"));
    let call = calls.find(|call| text(call, "id") == Some(id)).and_then(|call| get(call, "function"));
    let name = call.and_then(|function| text(function, "name"));
    let name = name.ok_or_else(|| Untranslatable::new("tool_call_id", "names no tool call of an earlier message"))?;
    let said: Vec<Value> = content(message)?;
    let said: Option<Vec<&str>> = said.iter().map(|part| text(part, "text")).collect();
    let said = said.ok_or_else(|| Untranslatable::new("content", "must be text"))?.concat();
    let response = serde_json::from_str(&said).ok().filter(Value::is_object);
    let response = response.unwrap_or_else(|| json!({"result": said}));
    Ok(json!({"functionResponse": {"name": name, "response": response}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_results_are_turns_of_the_model_and_the_user() {
        let call = |id: &str, name: &str| {
            json!({"id": id, "function": {"name": name, "arguments": "{\"x\":1}"},
            "extra_content": {"google": {"thought_signature": "s"}}})
        };
        let got = conversation(&json!({"messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
                {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
                {"type": "input_audio", "input_audio": {"format": "wav", "data": "aGk="}},
            ]},
            {"role": "assistant", "content": "", "tool_calls": [call("a", "f"), call("b", "g")]},
            {"role": "tool", "tool_call_id": "a", "content": "{\"ok\":true}"},
            {"role": "tool", "tool_call_id": "b", "content": "plain"},
        ]}), true)
        .expect("translatable");
        assert_eq!(got.0, [json!({"text": "be brief"})]);
        let called = |name: &str| json!({"functionCall": {"name": name, "args": {"x": 1}}, "thoughtSignature": "s"});
        let expected = [
            json!({"role": "user", "parts": [
                {"text": "see"}, {"inlineData": {"mimeType": "image/png", "data": "aGk="}}, {"fileData": {"fileUri": "https://h/a.png"}},
                {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
            ]}),
            json!({"role": "model", "parts": [called("f"), called("g")]}),
            json!({"role": "user", "parts": [
                {"functionResponse": {"name": "f", "response": {"ok": true}}},
                {"functionResponse": {"name": "g", "response": {"result": "plain"}}},
            ]}),
        ];
        assert_eq!(got.1, expected);
    }

    #[test]
    fn a_call_is_signed_by_whoever_made_it() {
        let calls = |first: Value, signed: bool| {
            let calls = json!([first, {"id": "b", "function": {"name": "g", "arguments": "{}"}}]);
            let pivot = json!({"messages": [{"role": "assistant", "tool_calls": calls}]});
            let parts = conversation(&pivot, signed).expect("translatable").1[0]["parts"].clone();
            [0, 1].map(|index| parts[index]["thoughtSignature"].clone())
        };
        let call = |id: &str| json!({"id": id, "function": {"name": "f", "arguments": "{}"}});
        assert_eq!(calls(call(&signed_id::join("a", "s/=")), true), [json!("s/="), json!(null)]);
        assert_eq!(calls(call("toolu_1"), true), [json!(FOREIGN), json!(null)], "it was another model's");
        assert_eq!(calls(call("toolu_1"), false), [json!(null), json!(null)]);
    }

    #[test]
    fn a_message_that_cannot_be_translated_is_named() {
        for (message, field) in [
            (json!({"role": "function"}), "messages[0].role"),
            (json!({"role": "tool", "tool_call_id": "x", "content": "y"}), "messages[0].tool_call_id"),
            (json!({"role": "user", "content": [{"type": "video"}]}), "messages[0].content[0].type"),
            (
                json!({"role": "user", "content": [{"type": "image_url", "image_url": "file:///x"}]}),
                "messages[0].content[0].image_url.url",
            ),
            (
                json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "no"}}]}),
                "messages[0].tool_calls[0].function.arguments",
            ),
        ] {
            assert_eq!(conversation(&json!({"messages": [message]}), false).expect_err("refused").field, field);
        }
    }
}
