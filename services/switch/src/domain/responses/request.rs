//! A Responses request, the same as a chat completion request, and what of it the response repeats.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use super::response::Echo;
use super::{Unacceptable, input, tools};
use crate::domain::request::{BadRequest, ChatRequest};

/// The fields of a request, as they stand, so that numbers and the order of a schema's fields arrive as they were
/// written.
pub(super) type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// A Responses request, read.
#[derive(Debug)]
pub(crate) struct ResponsesRequest {
    /// What is asked of a provider: in its caller's words, and as chat.
    pub(crate) request: ChatRequest,
    /// What the response to a chat repeats.
    pub(crate) echo: Echo,
}

/// What could neither be fetched nor billed here, whoever answers.
const BACKGROUND: (&str, &str, &str) =
    ("background", "false", "there are no background responses; leave it out or say false");

/// Fields that promise what a chat does not keep, the one value that does not, and what to do instead.
const NOT_KEPT: [(&str, &str, &str); 6] = [
    ("previous_response_id", "", "responses are not stored here; send the whole conversation as `input`"),
    ("conversation", "", "conversations are not stored here; send the whole conversation as `input`"),
    ("store", "false", "responses are not stored here; leave it out or say false"),
    ("prompt", "", "there are no stored prompts here; send `instructions` and `input`"),
    ("truncation", r#""disabled""#, "the input is never shortened; leave it out or say `disabled`"),
    ("context_management", "[]", "the input is never shortened; leave it out"),
];

/// What a chat has no place for, or says in other words.
const NOT_FOR_CHAT: [&str; 13] = [
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "messages",
    "metadata",
    "n",
    "parallel_tool_calls",
    "reasoning",
    "response_format",
    "stream_options",
    "text",
];

impl ResponsesRequest {
    /// Reads and translates a request.
    ///
    /// # Errors
    /// The first field that is wrong for everybody.
    pub(crate) fn read(body: Bytes) -> Result<Self, BadRequest> {
        let mut fields: Fields<'_> =
            serde_json::from_slice(&body).map_err(|error| BadRequest::Malformed(error.to_string()))?;
        // Libraries write out what was not given.
        fields.retain(|_, value| value.get() != "null");
        refuse(&mut fields, BACKGROUND)?;
        let echo = Echo::of(&fields);
        let as_chat = as_chat(fields).map(Box::new);
        Ok(Self { request: ChatRequest::read_responses(body, as_chat)?, echo })
    }
}

/// Takes a field out that may have one value only.
fn refuse(fields: &mut Fields<'_>, (name, allowed, problem): (&str, &str, &str)) -> Result<(), Unacceptable> {
    match fields.remove(name) {
        Some(value) if value.get() != allowed => Err(Unacceptable::new(name, problem)),
        _ => Ok(()),
    }
}

/// The same in words that every provider knows.
fn as_chat(mut fields: Fields<'_>) -> Result<ChatRequest, BadRequest> {
    NOT_KEPT.into_iter().try_for_each(|one| refuse(&mut fields, one))?;
    let chat = serde_json::to_vec(&chat(&fields)?).map_err(|error| Unacceptable::new("input", error.to_string()))?;
    ChatRequest::read_reworded(chat.into())
}

/// The fields of the chat completion that asks for the same.
fn chat(fields: &Fields<'_>) -> Result<BTreeMap<String, Box<RawValue>>, Unacceptable> {
    let as_it_is = |name: &str| !NOT_FOR_CHAT.contains(&name) && !tools::FIELDS.contains(&name);
    let mut chat: BTreeMap<String, Box<RawValue>> = fields
        .iter()
        .filter(|(name, _)| as_it_is(name))
        .map(|(name, value)| (name.clone(), (*value).to_owned()))
        .collect();
    let mut put = |name: &str, value: Box<RawValue>| chat.insert(name.to_owned(), value);
    put("messages", raw("input", &input::messages(fields)?)?);
    if let Some(limit) = fields.get("max_output_tokens") {
        put("max_tokens", (*limit).to_owned());
    }
    if let Some(effort) = reasoning_effort(fields)? {
        put("reasoning_effort", effort);
    }
    let TextConfig { format, verbosity } = read(fields, "text")?.unwrap_or_default();
    if let Some(format) = format.map(response_format).transpose()?.flatten() {
        put("response_format", format);
    }
    if let Some(verbosity) = verbosity {
        put("verbosity", verbosity.to_owned());
    }
    let include: Vec<String> = read(fields, "include")?.unwrap_or_default();
    let wants_logprobs = include.iter().any(|what| what == "message.output_text.logprobs");
    if wants_logprobs || fields.contains_key("top_logprobs") {
        put("logprobs", raw("include", &true)?);
    }
    for (name, value) in tools::for_chat(fields)? {
        put(name, value);
    }
    Ok(chat)
}

fn reasoning_effort(fields: &Fields<'_>) -> Result<Option<Box<RawValue>>, Unacceptable> {
    #[derive(Deserialize)]
    struct Reasoning<'a> {
        #[serde(borrow)]
        effort: Option<&'a RawValue>,
    }
    let reasoning: Option<Reasoning<'_>> = read(fields, "reasoning")?;
    Ok(reasoning.and_then(|reasoning| reasoning.effort).map(ToOwned::to_owned))
}

#[derive(Default, Deserialize)]
struct TextConfig<'a> {
    #[serde(borrow)]
    format: Option<&'a RawValue>,
    #[serde(borrow)]
    verbosity: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Format<'a> {
    #[serde(rename = "type")]
    kind: String,
    name: Option<String>,
    description: Option<String>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    strict: Option<bool>,
}

#[derive(Serialize)]
struct JsonSchema<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    schema: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    strict: Option<bool>,
}

#[derive(Serialize)]
struct SchemaFormat<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    json_schema: JsonSchema<'a>,
}

/// Chat has the schema one level deeper; `None` for plain text.
fn response_format(format: &RawValue) -> Result<Option<Box<RawValue>>, Unacceptable> {
    let format: Format<'_> = serde_json::from_str(format.get())
        .map_err(|error| Unacceptable::new("text.format", format!("cannot be read: {error}")))?;
    match format.kind.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(raw("text.format", &json!({ "type": "json_object" }))?)),
        "json_schema" => {
            let Format { name: Some(name), description, schema: Some(schema), strict, .. } = format else {
                return Err(Unacceptable::new("text.format", "a `json_schema` needs a `name` and a `schema`"));
            };
            let json_schema = JsonSchema { name, description, schema, strict };
            Ok(Some(raw("text.format", &SchemaFormat { kind: "json_schema", json_schema })?))
        }
        _ => Err(Unacceptable::new("text.format.type", "must be `text`, `json_object` or `json_schema`")),
    }
}

/// The field `name`, where it is there.
pub(super) fn read<'a, T: Deserialize<'a>>(fields: &Fields<'a>, name: &str) -> Result<Option<T>, Unacceptable> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    serde_json::from_str(value.get())
        .map(Some)
        .map_err(|error| Unacceptable::new(name, format!("cannot be read: {error}")))
}

pub(super) fn raw(param: &str, value: &impl Serialize) -> Result<Box<RawValue>, Unacceptable> {
    to_raw_value(value).map_err(|error| Unacceptable::new(param, error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::wire::Wire;

    fn chat_of(body: Value) -> Value {
        serde_json::from_slice(&as_chat(&body.to_string()).expect("a chat").body_for("m")).expect("JSON")
    }

    fn as_chat(body: &str) -> Result<ChatRequest, BadRequest> {
        let request = ResponsesRequest::read(Bytes::copy_from_slice(body.as_bytes()))?.request;
        request.as_chat.expect("it is none").map(|chat| *chat)
    }

    fn refused(body: Value) -> Option<String> {
        match as_chat(&body.to_string()).expect_err("refused") {
            BadRequest::Field { name, .. } => Some(name.into_owned()),
            BadRequest::Malformed(_) => None,
        }
    }

    #[test]
    fn fields_get_their_chat_names_and_unknown_ones_go_along() {
        let got = chat_of(json!({
            "model": "m", "input": "hi", "instructions": "be brief", "max_output_tokens": 7, "store": false,
            "reasoning": { "effort": "low", "summary": "auto" }, "text": { "verbosity": "low", "format": { "type": "text" } },
            "metadata": { "a": "b" }, "include": ["message.output_text.logprobs"], "top_logprobs": 2, "temperature": 0.5,
            "truncation": "disabled", "previous_response_id": null, "tool_choice": "auto", "parallel_tool_calls": true,
            "tools": [], "vendor": { "k": 1 }, "stream": false,
        }));
        let messages = json!([{ "role": "system", "content": "be brief" }, { "role": "user", "content": "hi" }]);
        assert_eq!(
            got,
            json!({ "model": "m", "messages": messages, "max_tokens": 7, "reasoning_effort": "low",
                "verbosity": "low", "logprobs": true, "top_logprobs": 2, "temperature": 0.5, "vendor": { "k": 1 },
                "stream": false })
        );
    }

    #[test]
    fn a_schema_keeps_the_order_of_its_fields() {
        let schema = r#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number"}}}"#;
        let body = format!(
            r#"{{"model":"m","input":"x","text":{{"format":{{"type":"json_schema","name":"s","strict":true,"schema":{schema}}}}}}}"#
        );
        let chat = as_chat(&body).expect("a chat").body_for("m");
        let expected = format!(
            r#""response_format":{{"type":"json_schema","json_schema":{{"name":"s","schema":{schema},"strict":true}}}}"#
        );
        let chat = std::str::from_utf8(&chat).expect("text");
        assert!(chat.contains(&expected), "{chat}");
    }

    #[test]
    fn what_needs_a_memory_is_refused_by_name() {
        for (name, value) in [
            ("previous_response_id", json!("resp_1")),
            ("conversation", json!({ "id": "conv_1" })),
            ("store", json!(true)),
            ("background", json!(true)),
            ("prompt", json!({ "id": "p" })),
            ("truncation", json!("auto")),
            ("text", json!("x")),
            ("stream", json!("yes")),
        ] {
            let mut body = json!({ "model": "m", "input": "x" });
            body[name] = value;
            assert_eq!(refused(body).as_deref(), Some(name));
        }
        assert_eq!(refused(json!({ "input": "x" })).as_deref(), Some("model"));
        assert_eq!(refused(json!({ "model": "m" })).as_deref(), Some("input"));
        assert_eq!(refused(json!([])), None);
        let format = json!({ "format": { "type": "json_schema" } });
        assert_eq!(refused(json!({ "model": "m", "input": "x", "text": format })).as_deref(), Some("text.format"));
    }

    #[test]
    fn what_no_chat_can_do_is_asked_for_all_the_same() {
        let body = r#"{"model": "m","previous_response_id":"resp_1","tools":[{"type":"web_search"}],"max_output_tokens":7,"stream":true,"stream_options":{"include_obfuscation":false},"user":"u","n":"x"}"#;
        let ResponsesRequest { request, .. } =
            ResponsesRequest::read(Bytes::from_static(body.as_bytes())).expect("one");
        assert!(matches!(request.as_chat, Some(Err(_))));
        assert_eq!((request.wire, request.stream, request.max_output), (Wire::Responses, true, Some(7)));
        assert_eq!((request.user().as_deref(), request.choices), (Some("u"), 1));
        let renamed = body.replacen("\"m\"", "\"gpt\"", 1);
        assert_eq!(request.body_asking_usage("gpt"), renamed, "nothing but the name is another");
        for body in [r#"{"input":"x"}"#, r#"{"model":"m","background":true}"#, r#"{"model":"m","stream":1}"#, "[]"] {
            assert!(ResponsesRequest::read(Bytes::from_static(body.as_bytes())).is_err(), "{body}");
        }
    }
}
