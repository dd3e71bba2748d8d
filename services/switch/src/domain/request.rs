//! A chat request as bytes, in the wire of its caller: what routing needs of it is read, the rest is passed on as it came.
//!
//! The one change ever made is the model's name, and only where a target knows it by another one: its value is cut out of
//! the bytes and replaced, so that number formats, key order and unknown fields arrive as the caller wrote them.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use vx11_contracts::switch::Message;

use crate::wire::Wire;

/// A request that can be routed.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// The wire that the body is in, and that its caller wants to be answered in.
    pub(crate) wire: Wire,
    /// Headers that belong to that wire, for a provider that speaks it too.
    pub(crate) headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// Where the model's value stands in the body, quotes included.
    span: Range<usize>,
    /// The model that was asked for; empty where the gateway is to choose.
    pub(crate) model: String,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// How many choices were asked for.
    pub(crate) choices: u32,
    /// Whether a stream is to end with a chunk that says what was spent.
    pub(crate) usage_chunk: bool,
}

/// Why a request cannot be routed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadRequest {
    /// Not a JSON object in UTF-8.
    Malformed(String),
    /// A field is missing or of the wrong type.
    Field {
        /// Its name.
        name: &'static str,
        /// What would be right.
        problem: String,
    },
}

/// The fields that are looked at. Each is kept as it stands, so that a wrong one can be named. A field that comes twice
/// is refused: what is routed by must be what the provider reads.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_options: Option<&'a RawValue>,
}

impl ChatRequest {
    /// Reads what routing needs of a request in OpenAI's wire.
    pub(crate) fn read(body: Bytes) -> Result<Self, BadRequest> {
        Self::read_as(Wire::OpenAi, body)
    }

    /// Reads what routing needs of a request in Anthropic's wire, of which `headers` are part.
    pub(crate) fn read_messages(body: Bytes, headers: Vec<(&'static str, String)>) -> Result<Self, BadRequest> {
        // There is one choice, and what was spent is always told.
        Ok(Self { headers, choices: 1, usage_chunk: true, ..Self::read_as(Wire::Anthropic, body)? })
    }

    fn read_as(wire: Wire, body: Bytes) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&body)
            .map_err(|error| BadRequest::Malformed(format!("the body is not UTF-8: {error}")))?;
        // serde would take an array for a struct.
        if !matches!(text.trim_ascii_start().as_bytes().first(), None | Some(b'{')) {
            return Err(BadRequest::Malformed("the body is not a JSON object".to_owned()));
        }
        let peek: Peek<'_> = serde_json::from_str(text).map_err(|error| BadRequest::Malformed(error.to_string()))?;

        let Some(raw_model) = peek.model else { return Err(field("model", "you must provide a model parameter")) };
        let model: String = value("model", raw_model, "must be a string")?;
        match peek.messages.map(RawValue::get) {
            Some(messages) if messages.starts_with('[') => {}
            Some(_) => return Err(field("messages", "must be an array of messages")),
            None => return Err(field("messages", "is required")),
        }
        let stream: Option<bool> =
            peek.stream.map(|raw| value("stream", raw, "must be true or false")).transpose()?.flatten();
        let choices: Option<u32> = peek.n.map(|raw| value("n", raw, "must be a whole number")).transpose()?.flatten();
        // What is wrong with it is for the provider to say.
        let usage_chunk = peek.stream_options.and_then(|raw| serde_json::from_str::<StreamOptions>(raw.get()).ok());
        Ok(Self {
            wire,
            headers: Vec::new(),
            span: span_of(text, raw_model.get()),
            model,
            stream: stream.unwrap_or(false),
            choices: choices.unwrap_or(1),
            usage_chunk: usage_chunk.is_some_and(|options| options.include_usage),
            body,
        })
    }

    /// The request for a conversation that came in VX11's own words. A stream is asked to report its usage.
    pub(crate) fn compose(model: &str, messages: &[Message], stream: bool) -> serde_json::Result<Self> {
        const MODEL_AT: usize = br#"{"model":"#.len();
        let stream_options = stream.then_some(StreamOptions { include_usage: true });
        let body = serde_json::to_vec(&Composed { model: "", messages, stream, stream_options })?;
        Ok(Self {
            wire: Wire::OpenAi,
            headers: Vec::new(),
            body: body.into(),
            span: MODEL_AT..MODEL_AT + 2,
            model: model.to_owned(),
            stream,
            choices: 1,
            usage_chunk: stream,
        })
    }

    /// The body as it came.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body for a target of the same wire that knows the model as `model`.
    pub(crate) fn body_for(&self, model: &str) -> Bytes {
        let Ok(name) = serde_json::to_string(model) else { return self.body.clone() };
        if self.body[self.span.clone()] == *name.as_bytes() {
            return self.body.clone();
        }
        let mut body = Vec::with_capacity(self.body.len() + name.len());
        body.extend_from_slice(&self.body[..self.span.start]);
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&self.body[self.span.end..]);
        body.into()
    }
}

#[derive(Serialize)]
struct Composed<'a> {
    model: &'a str,
    messages: &'a [Message],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize, Serialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

/// Where `part`, a slice of `whole`, begins and ends in it.
fn span_of(whole: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

fn value<'a, T: Deserialize<'a>>(name: &'static str, raw: &'a RawValue, problem: &str) -> Result<T, BadRequest> {
    serde_json::from_str(raw.get()).map_err(|_| field(name, problem))
}

fn field(name: &'static str, problem: &str) -> BadRequest {
    BadRequest::Field { name, problem: problem.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};
    use vx11_contracts::switch::Role;

    use super::*;

    fn read(body: &str) -> Result<ChatRequest, BadRequest> {
        ChatRequest::read(Bytes::copy_from_slice(body.as_bytes()))
    }

    fn refused_field(body: &str) -> &'static str {
        match read(body).expect_err(body) {
            BadRequest::Field { name, .. } => name,
            BadRequest::Malformed(problem) => panic!("{body}: {problem}"),
        }
    }

    #[test]
    fn what_routing_needs_is_read() {
        let request =
            read(r#" {"n": 2, "messages": [], "mod\u0065l": "gpt\u002d4", "stream": true} "#).expect("readable");
        assert_eq!((request.model.as_str(), request.stream, request.choices), ("gpt-4", true, 2));
        assert!(!request.usage_chunk);
        let request = read(r#"{"model": "m", "messages": [], "stream_options": {"include_usage": true}}"#);
        assert!(request.expect("readable").usage_chunk);
        let request =
            read(r#"{"model": "m", "messages": [{"model": "inner"}], "stream": null, "n": null}"#).expect("readable");
        assert_eq!((request.model.as_str(), request.stream, request.choices), ("m", false, 1));
    }

    #[test]
    fn a_wrong_field_is_named() {
        let wrong = [
            ("{}", "model"),
            (r#"{"model": 4, "messages": []}"#, "model"),
            (r#"{"model": null, "messages": []}"#, "model"),
            (r#"{"model": "m"}"#, "messages"),
            (r#"{"model": "m", "messages": "hello"}"#, "messages"),
            (r#"{"model": "m", "messages": [], "stream": "yes"}"#, "stream"),
            (r#"{"model": "m", "messages": [], "n": -1}"#, "n"),
        ];
        for (body, name) in wrong {
            assert_eq!(refused_field(body), name, "{body}");
        }
    }

    #[test]
    fn what_is_not_one_json_object_is_malformed() {
        let twice = r#"{"model": "m", "messages": [], "model": "other"}"#;
        for body in ["", "{", "[]", r#"["m", [], true, 1]"#, "\"m\"", r#"{"model": "m", "messages": []} x"#, twice] {
            assert!(matches!(read(body), Err(BadRequest::Malformed(_))), "{body}");
        }
        let body = Bytes::from_static(b"{\"model\": \"\xff\", \"messages\": []}");
        assert!(matches!(ChatRequest::read(body), Err(BadRequest::Malformed(_))));
    }

    #[test]
    fn deep_nesting_is_no_stack_overflow() {
        let body = format!(r#"{{"model": "m", "x": {}, "messages": []}}"#, "[".repeat(1 << 20));
        assert!(matches!(read(&body), Err(BadRequest::Malformed(_))));
    }

    #[test]
    fn the_same_name_leaves_the_very_bytes() {
        let request = read(r#"{"model":"m","messages":[],"temperature":1.50}"#).expect("readable");
        assert_eq!(request.body_for("m").as_ptr(), request.body.as_ptr(), "not even copied");
        assert_eq!(request.body_for("a\"b"), r#"{"model":"a\"b","messages":[],"temperature":1.50}"#);
    }

    #[test]
    fn a_composed_request_carries_the_targets_model() {
        let messages = [Message { role: Role::User, content: "\"model\":\"\"".to_owned() }];
        let request = ChatRequest::compose("default", &messages, true).expect("serialises");
        let body: Value = serde_json::from_slice(&request.body_for("llama")).expect("JSON");
        let content = json!([{"role": "user", "content": "\"model\":\"\""}]);
        assert_eq!(
            body,
            json!({"model": "llama", "messages": content, "stream": true, "stream_options": {"include_usage": true}})
        );
    }

    /// Any JSON value, with keys and texts that look like the field that is replaced.
    fn json_value() -> impl Strategy<Value = Value> {
        let text = prop_oneof![Just("model".to_owned()), Just("\"model\": \"x\"".to_owned()), any::<String>()];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            text.clone().prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((text.clone(), inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn replacing_the_model_changes_nothing_else(
            model in any::<String>(),
            replacement in any::<String>(),
            before in prop::collection::vec(("[a-z\"\\\\ ]{0,6}", json_value()), 0..4),
            after in prop::collection::vec(("[a-z\"\\\\ ]{0,6}", json_value()), 0..4),
            messages in prop::collection::vec(json_value(), 0..3),
            pretty in any::<bool>(),
        ) {
            // Written by hand, because the model is to stand in the middle whatever its neighbours are called.
            let own = ["model", "messages", "stream", "n"];
            let (gap, mut body) = if pretty { ("\n\t ", String::from("{")) } else { ("", String::from("{")) };
            let mut write = |key: &str, value: &Value| {
                let comma = if body.len() == 1 { "" } else { "," };
                body.push_str(&format!("{comma}{gap}{}{gap}:{gap}{value}{gap}", Value::from(key)));
            };
            let mut expected = Map::new();
            for (key, value) in before.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
                write(key, value);
                expected.insert(key.clone(), value.clone());
            }
            write("model", &Value::from(model.as_str()));
            for (key, value) in after.iter().filter(|(key, _)| !own.contains(&key.as_str())) {
                write(key, value);
                expected.insert(key.clone(), value.clone());
            }
            write("messages", &Value::from(messages.clone()));
            body.push('}');
            expected.insert("model".to_owned(), Value::from(replacement.as_str()));
            expected.insert("messages".to_owned(), Value::from(messages));

            let request = read(&body).expect("readable");
            prop_assert_eq!(&request.model, &model);
            prop_assert_eq!(request.body_for(&model).len(), body.len());
            let replaced = request.body_for(&replacement);
            let parsed: Value = serde_json::from_slice(&replaced).expect("still JSON");
            prop_assert_eq!(parsed, Value::Object(expected));
            prop_assert!(replaced.starts_with(&body.as_bytes()[..request.span.start]));
            prop_assert!(replaced.ends_with(&body.as_bytes()[request.span.end..]));
        }

        #[test]
        fn no_body_makes_the_reader_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = ChatRequest::read(body.into());
        }

        #[test]
        fn no_text_makes_the_reader_panic(body in "[{}\\[\\]\",:a-z\\\\ 0-9]{0,60}") {
            let _ = ChatRequest::read(body.into());
        }
    }
}
