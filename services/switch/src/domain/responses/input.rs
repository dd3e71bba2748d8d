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
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of(input: Value) -> Result<Value, Unacceptable> {
        let text = json!({ "input": input }).to_string();
        let fields: Fields<'_> = serde_json::from_str(&text).expect("an object");
        messages(&fields).map(|messages| serde_json::to_value(messages).expect("JSON"))
    }

    #[test]
    fn a_tool_that_takes_any_text_is_called_and_answers() {
        let got = of(json!([
            { "role": "user", "content": "Mend it." },
            { "type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "patch", "input": "*** Begin" },
            { "type": "custom_tool_call_output", "call_id": "call_1", "output": "done" },
        ]));
        let call = json!({ "id": "call_1", "type": "custom", "custom": { "name": "patch", "input": "*** Begin" } });
        assert_eq!(
            got,
            Ok(json!([
                { "role": "user", "content": "Mend it." },
                { "role": "assistant", "content": null, "tool_calls": [call] },
                { "role": "tool", "content": "done", "tool_call_id": "call_1" },
            ]))
        );
    }

    #[test]
    fn a_conversation_with_calls_becomes_one_of_a_chat() {
        let got = of(json!([
            { "role": "developer", "content": "Be kind." },
            { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Weather?" }] },
            { "type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA",
                "content": [{ "type": "reasoning_text", "text": "only OpenAI knows" }] },
            { "type": "message", "role": "assistant", "id": "msg_1", "status": "completed",
                "content": [{ "type": "output_text", "text": "Let me look.", "annotations": [] }] },
            { "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}" },
            { "type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{\"x\":1}" },
            { "type": "function_call_output", "call_id": "call_1", "output": "sun" },
            { "type": "function_call_output", "call_id": "call_2", "output": [{ "type": "input_text", "text": "rain" }] },
        ]));
        let call = |id: &str, name: &str, arguments: &str| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
        let calls = json!([call("call_1", "f", "{}"), call("call_2", "g", "{\"x\":1}")]);
        assert_eq!(
            got,
            Ok(json!([
                { "role": "developer", "content": "Be kind." },
                { "role": "user", "content": "Weather?" },
                { "role": "assistant", "content": "Let me look.", "tool_calls": calls },
                { "role": "tool", "content": "sun", "tool_call_id": "call_1" },
                { "role": "tool", "content": "rain", "tool_call_id": "call_2" },
            ]))
        );
    }

    #[test]
    fn calls_without_words_have_no_content_and_later_words_join_them() {
        let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "" });
        let got = of(json!([call])).expect("acceptable");
        assert!(got[0]["content"].is_null() && got[0].as_object().expect("one").contains_key("content"));
        let got = of(json!([call, { "role": "assistant", "content": "so" }])).expect("acceptable");
        assert_eq!((got.as_array().map(Vec::len), &got[0]["content"]), (Some(1), &json!("so")));
    }

    #[test]
    fn reasoning_goes_back_under_its_own_name_with_what_it_led_to() {
        let reasoning = |text: &str, more: Value| {
            let content = json!([{ "type": "reasoning_text", "text": text }]);
            let mut item = json!({ "type": "reasoning", "id": "rs_1", "summary": [], "content": content });
            item.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            item
        };
        let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "" });
        let output = json!({ "type": "function_call_output", "call_id": "c", "output": "sun" });
        let words = json!({ "role": "assistant", "content": "so" });
        let plain = Reasoning::Plain.mark();
        let got = of(json!([
            reasoning("h", json!({})),
            call,
            reasoning("m", json!({})),
            output,
            reasoning("ah", json!({ "encrypted_content": plain })),
            words,
            reasoning("lost", json!({})),
        ]))
        .expect("acceptable");
        let function = json!({ "name": "f", "arguments": "" });
        let called = json!({ "role": "assistant", "content": null, "reasoning_content": "hm",
            "tool_calls": [{ "id": "c", "type": "function", "function": function }] });
        let answered = json!({ "role": "tool", "content": "sun", "tool_call_id": "c" });
        let said = json!({ "role": "assistant", "content": "so", "reasoning": "ah", "reasoning_content": "lost" });
        assert_eq!(got, json!([called, answered, said]));
        assert_eq!(of(json!([reasoning("led to nothing", json!({}))])), Ok(json!([])));
    }

    #[test]
    fn images_files_and_sounds_go_along() {
        let got = of(json!([{ "role": "user", "content": [
            { "type": "input_text", "text": "What is this?" },
            { "type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low" },
            { "type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" },
            { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" } },
        ] }]));
        let parts = json!([
            { "type": "text", "text": "What is this?" },
            { "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==", "detail": "low" } },
            { "type": "file", "file": { "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA==" } },
            { "type": "input_audio", "input_audio": { "data": "AA==", "format": "wav" } },
        ]);
        assert_eq!(got, Ok(json!([{ "role": "user", "content": parts }])));
    }

    #[test]
    fn what_cannot_be_said_in_a_chat_is_named() {
        for (item, param) in [
            (json!({ "content": "x" }), "input[0].role"),
            (json!({ "role": "user" }), "input[0].content"),
            (json!({ "type": "item_reference", "id": "msg_1" }), "input[0]"),
            (json!({ "type": "web_search_call", "id": "ws_1" }), "input[0].type"),
            (json!({ "type": "function_call", "name": "f", "arguments": "" }), "input[0].call_id"),
            (
                json!({ "role": "user", "content": [{ "type": "input_image", "file_id": "f" }] }),
                "input[0].content[0].image_url",
            ),
            (json!({ "role": "user", "content": [{ "type": "input_video" }] }), "input[0].content[0].type"),
            (json!("text"), "input[0]"),
        ] {
            assert_eq!(of(json!([item])).expect_err("refused").param.as_deref(), Some(param));
        }
        assert_eq!(of(json!(7)).expect_err("refused").param.as_deref(), Some("input"));
    }
}
