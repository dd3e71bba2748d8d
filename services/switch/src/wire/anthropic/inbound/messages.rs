//! The conversation: Anthropic's turns as OpenAI's messages, in which each tool result is a message of its own.

use serde_json::{Value, json};

use super::reasoning;
use crate::wire::json::{Object, get, list, said, text};
use crate::wire::{Untranslatable, data_url};

/// The messages of a request, what the system says first.
pub(super) fn conversation(request: &Value) -> Result<Vec<Value>, Untranslatable> {
    let mut out = Vec::new();
    if let Some(system) = get(request, "system") {
        out.push(json!({"role": "system", "content": plain_text(system).map_err(|error| error.within("system"))?}));
    }
    for (index, message) in list(request, "messages").iter().enumerate() {
        let added = match text(message, "role") {
            Some("user") => user(message, &mut out),
            Some("assistant") => assistant(message, &mut out),
            Some("system") => system(message, &mut out),
            _ => Err(Untranslatable::new("role", "must be `user` or `assistant`")),
        };
        added.map_err(|error| error.within(&format!("messages[{index}]")))?;
    }
    Ok(out)
}

fn system(message: &Value, out: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let content = get(message, "content").ok_or_else(|| Untranslatable::new("content", "is required"))?;
    out.push(json!({"role": "system", "content": plain_text(content).map_err(|error| error.within("content"))?}));
    Ok(())
}

/// Results come first: they belong to the calls before them.
fn user(message: &Value, out: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let blocks = match get(message, "content") {
        Some(Value::String(text)) => {
            out.push(json!({"role": "user", "content": text}));
            return Ok(());
        }
        Some(Value::Array(blocks)) => blocks,
        _ => return Err(Untranslatable::new("content", "must be text or a list of blocks")),
    };
    let mut parts = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let named = |error: Untranslatable| error.within(&format!("content[{index}]"));
        if text(block, "type") == Some("tool_result") {
            out.push(tool_result(block, &mut parts).map_err(named)?);
        } else {
            parts.push(part(block).map_err(named)?);
        }
    }
    if !parts.is_empty() {
        out.push(json!({"role": "user", "content": merged(parts)}));
    }
    Ok(())
}

/// The message for one result. OpenAI's holds text only, so images of it go into `shown`, which the user says next.
fn tool_result(block: &Value, shown: &mut Vec<Value>) -> Result<Value, Untranslatable> {
    let id = text(block, "tool_use_id").ok_or_else(|| Untranslatable::new("tool_use_id", "is required"))?;
    let mut said = String::new();
    match get(block, "content") {
        None => {}
        Some(Value::String(text)) => said.push_str(text),
        Some(Value::Array(blocks)) => {
            for (index, block) in blocks.iter().enumerate() {
                let part = part(block).map_err(|error| error.within(&format!("content[{index}]")))?;
                match text(&part, "text") {
                    Some(text) => said.push_str(text),
                    None => shown.push(part),
                }
            }
        }
        Some(_) => return Err(Untranslatable::new("content", "must be text or a list of blocks")),
    }
    Ok(json!({"role": "tool", "tool_call_id": id, "content": said}))
}

fn assistant(message: &Value, out: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let (mut content, mut calls, mut reasoning) = (None::<String>, Vec::new(), Object::new());
    match get(message, "content") {
        Some(Value::String(text)) => content = Some(text.clone()),
        Some(Value::Array(blocks)) => {
            for (index, block) in blocks.iter().enumerate() {
                match text(block, "type") {
                    Some("text") => {
                        content.get_or_insert_default().push_str(text(block, "text").unwrap_or_default());
                    }
                    Some("tool_use") => {
                        calls.push(tool_call(block).map_err(|error| error.within(&format!("content[{index}]")))?);
                    }
                    // Thoughts that are signed mean nothing to others than the provider that had them.
                    Some("thinking") => add_reasoning(&mut reasoning, block),
                    Some("redacted_thinking") => {}
                    kind => return Err(no_counterpart(kind).within(&format!("content[{index}]"))),
                }
            }
        }
        _ => return Err(Untranslatable::new("content", "must be text or a list of blocks")),
    }
    if content.is_none() && calls.is_empty() {
        return Ok(());
    }
    let mut message = Object::new();
    message.insert("role".to_owned(), "assistant".into());
    message.insert("content".to_owned(), content.into());
    message.append(&mut reasoning);
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    out.push(message.into());
    Ok(())
}

/// Adds an unsigned thought under the name that it came by.
fn add_reasoning(reasoning: &mut Object, block: &Value) {
    let Some((name, more)) = reasoning::in_block(block) else { return };
    if let Value::String(text) = reasoning.entry(name.field()).or_insert_with(|| "".into()) {
        text.push_str(more);
    }
}

fn tool_call(block: &Value) -> Result<Value, Untranslatable> {
    let required = |field: &str| Untranslatable::new(field, "is required");
    let id = text(block, "id").ok_or_else(|| required("id"))?;
    let name = text(block, "name").ok_or_else(|| required("name"))?;
    let arguments = get(block, "input").map_or_else(|| "{}".to_owned(), Value::to_string);
    Ok(crate::wire::openai::tool_call(id, name, &arguments))
}

fn part(block: &Value) -> Result<Value, Untranslatable> {
    let source = get(block, "source");
    let of_source = |field: &str| source.and_then(|source| text(source, field));
    match (text(block, "type"), of_source("type")) {
        (Some("text"), _) => Ok(json!({"type": "text", "text": text(block, "text").unwrap_or_default()})),
        (Some("image"), Some("url")) => {
            Ok(json!({"type": "image_url", "image_url": {"url": of_source("url").unwrap_or_default()}}))
        }
        (Some("image"), Some("base64")) => Ok(json!({"type": "image_url", "image_url": {"url": data(source)?}})),
        (Some("document"), Some("base64")) => {
            let name = said(block, "title").unwrap_or("document");
            Ok(json!({"type": "file", "file": {"filename": name, "file_data": data(source)?}}))
        }
        (Some("document"), Some("text")) => Ok(json!({"type": "text", "text": of_source("data").unwrap_or_default()})),
        (Some("image" | "document"), _) => {
            Err(Untranslatable::new("source.type", "only providers of Anthropic's own wire have this"))
        }
        (kind, _) => Err(no_counterpart(kind)),
    }
}

fn data(source: Option<&Value>) -> Result<String, Untranslatable> {
    let field = |name: &str| {
        let value = source.and_then(|source| text(source, name));
        value.ok_or_else(|| Untranslatable::new(format!("source.{name}"), "is required"))
    };
    Ok(data_url::join(field("media_type")?, field("data")?))
}

/// One text alone is text; anything else stays a list of parts.
fn merged(parts: Vec<Value>) -> Value {
    match parts.as_slice() {
        [part] if text(part, "type") == Some("text") => part["text"].clone(),
        _ => parts.into(),
    }
}

/// Text, or text blocks set apart by blank lines.
fn plain_text(content: &Value) -> Result<String, Untranslatable> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(blocks) => {
            let mut texts = Vec::with_capacity(blocks.len());
            for (index, block) in blocks.iter().enumerate() {
                let text = text(block, "text");
                let problem = || Untranslatable::new(format!("[{index}].text"), "is required");
                texts.push(text.ok_or_else(problem)?);
            }
            Ok(texts.join("\n\n"))
        }
        _ => Err(Untranslatable::new("", "must be text or a list of text blocks")),
    }
}

fn no_counterpart(kind: Option<&str>) -> Untranslatable {
    match kind {
        Some(kind) => Untranslatable::new("type", format!("only providers of Anthropic's own wire have `{kind}`")),
        None => Untranslatable::new("type", "is required"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(messages: Value) -> Vec<Value> {
        conversation(&json!({"messages": messages})).expect("translatable")
    }

    #[test]
    fn reasoning_that_nobody_signed_goes_back_under_its_own_name() {
        let thinking = |signature: Value| json!({"type": "thinking", "thinking": "hm", "signature": signature});
        let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
        for (signature, name) in [
            (json!(""), Some("reasoning_content")),
            (json!(null), Some("reasoning_content")),
            (json!("reasoning"), Some("reasoning")),
            (json!("EqQB"), None),
        ] {
            let got = translate(json!([{"role": "assistant", "content": [thinking(signature), call]}]));
            let fields = ["reasoning_content", "reasoning"].map(|field| got[0][field].as_str().map(|_| field));
            assert_eq!(fields.into_iter().flatten().next(), name);
        }
    }

    #[test]
    fn results_become_messages_and_their_images_are_shown_by_the_user() {
        let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}});
        let got = translate(json!([
            {"role": "user", "content": "go"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "calling"},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}, {"type": "tool_use", "id": "b", "name": "g", "input": {}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "one"},
                {"type": "tool_result", "tool_use_id": "b", "content": [{"type": "text", "text": "see"}, image]},
                {"type": "text", "text": "and?"},
            ]},
        ]));
        let call = |id: &str, name: &str, arguments: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
        let expected = [
            json!({"role": "user", "content": "go"}),
            json!({"role": "assistant", "content": "calling", "tool_calls": [call("a", "f", "{\"x\":1}"), call("b", "g", "{}")]}),
            json!({"role": "tool", "tool_call_id": "a", "content": "one"}),
            json!({"role": "tool", "tool_call_id": "b", "content": "see"}),
            json!({"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}, {"type": "text", "text": "and?"},
            ]}),
        ];
        assert_eq!(got, expected);
    }

    #[test]
    fn what_the_system_says_is_the_first_message() {
        let system = json!([{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {}}]);
        let got = conversation(&json!({"system": system, "messages": []}));
        assert_eq!(got, Ok(vec![json!({"role": "system", "content": "a\n\nb"})]));
    }

    #[test]
    fn a_block_that_cannot_be_translated_is_named() {
        let user = |block: Value| json!({"role": "user", "content": [block]});
        for (message, field) in [
            (json!({"role": "tool"}), "messages[0].role"),
            (json!({"role": "user"}), "messages[0].content"),
            (user(json!({"type": "search_result"})), "messages[0].content[0].type"),
            (
                user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})),
                "messages[0].content[0].source.type",
            ),
            (
                user(json!({"type": "image", "source": {"type": "base64", "data": "x"}})),
                "messages[0].content[0].source.media_type",
            ),
            (user(json!({"type": "tool_result"})), "messages[0].content[0].tool_use_id"),
            (
                user(json!({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "x"}]})),
                "messages[0].content[0].content[0].type",
            ),
            (json!({"role": "assistant", "content": [{"type": "server_tool_use"}]}), "messages[0].content[0].type"),
        ] {
            let refused = conversation(&json!({"messages": [message]})).expect_err("refused");
            assert_eq!(refused.field, field);
        }
        assert_eq!(conversation(&json!({"system": [{"type": "image"}]})).expect_err("refused").field, "system[0].text");
    }
}
