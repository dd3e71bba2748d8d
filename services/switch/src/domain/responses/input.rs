//! The items of a Responses request as the messages of a chat.
//!
//! A call belongs to the message of the assistant that stands before it, because a chat has both in one message. So
//! does reasoning, under the name that it came by: some servers want it back when they called tools. A mere summary of
//! it, or what only OpenAI can read, is left out.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Unacceptable;
use super::item::Reasoning;
use super::request::{Fields, read};

/// A message of a chat.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    role: String,
    content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning_content: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(String),
    Parts(Vec<Part<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part<'a> {
    Text { text: String },
    ImageUrl { image_url: ImageUrl<'a> },
    File { file: File },
    InputAudio { input_audio: &'a RawValue },
    Refusal { refusal: String },
}

#[derive(Debug, Serialize)]
struct ImageUrl<'a> {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
struct File {
    #[serde(skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
}

#[derive(Debug, Serialize)]
struct ToolCall {
    id: String,
    #[serde(flatten)]
    called: Called,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Called {
    Function { function: Function },
    Custom { custom: Custom },
}

#[derive(Debug, Serialize)]
struct Custom {
    name: String,
    input: String,
}

#[derive(Debug, Serialize)]
struct Function {
    name: String,
    arguments: String,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(rename = "type")]
    kind: Option<String>,
    role: Option<String>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    encrypted_content: Option<String>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    input: Option<String>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct InputPart<'a> {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<String>,
    #[serde(borrow)]
    detail: Option<&'a RawValue>,
    file_data: Option<String>,
    file_id: Option<String>,
    filename: Option<String>,
    #[serde(borrow)]
    input_audio: Option<&'a RawValue>,
}

/// The conversation, the instructions first.
pub(super) fn messages<'a>(fields: &Fields<'a>) -> Result<Vec<Message<'a>>, Unacceptable> {
    let mut messages = Vec::new();
    if let Some(text) = read::<String>(fields, "instructions")? {
        messages.push(said("system", Content::Text(text)));
    }
    let Some(input) = fields.get("input") else { return Err(Unacceptable::new("input", "is required")) };
    if input.get().starts_with('"') {
        let text = read::<String>(fields, "input")?.unwrap_or_default();
        messages.push(said("user", Content::Text(text)));
        return Ok(messages);
    }
    let items: Vec<&RawValue> = read(fields, "input")?.unwrap_or_default();
    for (index, item) in items.into_iter().enumerate() {
        let place = format!("input[{index}]");
        let item: Item<'_> = parse(item, &place)?;
        add(&mut messages, item, &place)?;
    }
    // Reasoning that led to nothing.
    messages.retain(|message| message.content.is_some() || !message.tool_calls.is_empty());
    Ok(messages)
}

fn add<'a>(messages: &mut Vec<Message<'a>>, item: Item<'a>, place: &str) -> Result<(), Unacceptable> {
    let missing = |field: &str| Unacceptable::new(format!("{place}.{field}"), "is required");
    match item.kind.as_deref().unwrap_or("message") {
        "message" => {
            let role = item.role.ok_or_else(|| missing("role"))?;
            let content = content(item.content.ok_or_else(|| missing("content"))?, &format!("{place}.content"))?;
            match messages.last_mut() {
                // What was said along with calls stands in their message.
                Some(last) if role == "assistant" && last.role == role && last.content.is_none() => {
                    last.content = Some(content);
                }
                _ => messages.push(said(&role, content)),
            }
        }
        "function_call" => {
            let function = Function {
                name: item.name.ok_or_else(|| missing("name"))?,
                arguments: item.arguments.ok_or_else(|| missing("arguments"))?,
            };
            call(messages, item.call_id.ok_or_else(|| missing("call_id"))?, Called::Function { function });
        }
        "custom_tool_call" => {
            let custom = Custom {
                name: item.name.ok_or_else(|| missing("name"))?,
                input: item.input.ok_or_else(|| missing("input"))?,
            };
            call(messages, item.call_id.ok_or_else(|| missing("call_id"))?, Called::Custom { custom });
        }
        "function_call_output" | "custom_tool_call_output" => {
            let output = content(item.output.ok_or_else(|| missing("output"))?, &format!("{place}.output"))?;
            let call_id = item.call_id.ok_or_else(|| missing("call_id"))?;
            messages.push(Message { tool_call_id: Some(call_id), ..said("tool", output) });
        }
        "reasoning" => reasoning(messages, &item, place)?,
        "item_reference" => {
            return Err(Unacceptable::new(place, "items are not stored here; send the item itself"));
        }
        other => {
            let problem = format!(
                "`{other}` is not possible here: only messages, calls of the caller's tools and their outputs are"
            );
            return Err(Unacceptable::new(format!("{place}.type"), problem));
        }
    }
    Ok(())
}

/// Adds a call to the message of the assistant that it belongs to.
fn call(messages: &mut Vec<Message<'_>>, id: String, called: Called) {
    let call = ToolCall { id, called };
    match messages.last_mut() {
        Some(last) if last.role == "assistant" => last.tool_calls.push(call),
        _ => messages.push(Message { tool_calls: vec![call], ..silent() }),
    }
}

fn reasoning<'a>(messages: &mut Vec<Message<'a>>, item: &Item<'a>, place: &str) -> Result<(), Unacceptable> {
    let mark = item.encrypted_content.as_deref();
    let Some(name) = [Reasoning::Content, Reasoning::Plain].into_iter().find(|name| name.mark() == mark) else {
        return Ok(());
    };
    let Some(content) = item.content else { return Ok(()) };
    let parts: Vec<InputPart<'_>> = parse(content, &format!("{place}.content"))?;
    let parts = parts.into_iter().filter(|part| part.kind == "reasoning_text");
    let text: String = parts.filter_map(|part| part.text).collect();
    if messages.last().is_none_or(|last| last.role != "assistant") {
        messages.push(silent());
    }
    if let Some(last) = messages.last_mut() {
        match name {
            Reasoning::Content => last.reasoning_content.push_str(&text),
            Reasoning::Plain => last.reasoning.push_str(&text),
        }
    }
    Ok(())
}

fn said<'a>(role: &str, content: Content<'a>) -> Message<'a> {
    Message { role: role.to_owned(), content: Some(content), ..silent() }
}

/// A message of the assistant that says nothing yet.
fn silent<'a>() -> Message<'a> {
    Message {
        role: "assistant".to_owned(),
        content: None,
        reasoning_content: String::new(),
        reasoning: String::new(),
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

/// A text, or parts. One text alone is written as such, which every server reads.
fn content<'a>(raw: &'a RawValue, place: &str) -> Result<Content<'a>, Unacceptable> {
    if raw.get().starts_with('"') {
        return parse(raw, place).map(Content::Text);
    }
    let parts: Vec<InputPart<'a>> = parse(raw, place)?;
    let parts = parts.into_iter().enumerate().map(|(index, one)| part(one, &format!("{place}[{index}]")));
    let mut parts: Vec<Part<'a>> = parts.collect::<Result<_, _>>()?;
    match parts.as_mut_slice() {
        [Part::Text { text }] => Ok(Content::Text(std::mem::take(text))),
        _ => Ok(Content::Parts(parts)),
    }
}

fn part<'a>(part: InputPart<'a>, place: &str) -> Result<Part<'a>, Unacceptable> {
    let missing = |field: &str| Unacceptable::new(format!("{place}.{field}"), "is required");
    match part.kind.as_str() {
        "input_text" | "output_text" | "text" => Ok(Part::Text { text: part.text.ok_or_else(|| missing("text"))? }),
        "input_image" => {
            let url = part.image_url.ok_or_else(|| missing("image_url"))?;
            Ok(Part::ImageUrl { image_url: ImageUrl { url, detail: part.detail } })
        }
        "input_file" if part.file_data.is_some() || part.file_id.is_some() => {
            let InputPart { file_data, file_id, filename, .. } = part;
            Ok(Part::File { file: File { file_data, file_id, filename } })
        }
        "input_file" => Err(missing("file_data")),
        "input_audio" => Ok(Part::InputAudio { input_audio: part.input_audio.ok_or_else(|| missing("input_audio"))? }),
        "refusal" => Ok(Part::Refusal { refusal: part.refusal.ok_or_else(|| missing("refusal"))? }),
        other => Err(Unacceptable::new(format!("{place}.type"), format!("`{other}` is not possible here"))),
    }
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue, place: &str) -> Result<T, Unacceptable> {
    serde_json::from_str(raw.get()).map_err(|error| Unacceptable::new(place, format!("cannot be read: {error}")))
}

#[cfg(test)]
mod tests;
