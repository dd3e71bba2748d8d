//! A request of OpenAI's wire or Anthropic's as bytes: what routing needs of it is read, the rest is passed on as it came.
//!
//! For a target of the same wire two changes are ever made: the model's name, where it is known there by another one, and
//! the wish of a stream to report its usage, where the caller has none. Their values are cut out of the bytes and replaced,
//! so that number formats, key order and unknown fields arrive as the caller wrote them.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use vx11_contracts::switch::Message;

use super::operation::Operation;
use super::stream_options::{self, UsageWish};
use super::text_completion;
use crate::wire::Wire;

/// A request that can be routed.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// The wire that the body is in, and that its caller wants to be answered in.
    pub(crate) wire: Wire,
    /// Headers that belong to that wire, for a provider that speaks it too.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What is asked for.
    pub(crate) operation: Operation,
    body: Bytes,
    /// Where the model's value stands in the body, quotes included.
    span: Range<usize>,
    /// Where `user` and `metadata` stand; they are read only for routes that ask for them.
    user: Option<Range<usize>>,
    metadata: Option<Range<usize>>,
    /// The model that was asked for; empty where the gateway is to choose.
    pub(crate) model: String,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// How many choices were asked for.
    pub(crate) choices: u32,
    usage: UsageWish,
    /// The same as chat, for providers without text completions; or why it cannot be that.
    pub(crate) as_chat: Option<Result<Box<ChatRequest>, BadRequest>>,
    /// Tokens that each choice may have at most, where the caller says so.
    pub(crate) max_output: Option<u64>,
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
    prompt: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "stream_options::even_null")]
    stream_options: Option<&'a RawValue>,
    #[serde(borrow)]
    n: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

impl ChatRequest {
    /// Reads what routing needs of a chat completion.
    pub(crate) fn read(body: Bytes) -> Result<Self, BadRequest> {
        Self::read_for(Operation::Chat, body)
    }

    /// Reads what routing needs of a request for `operation`, in OpenAI's wire.
    pub(crate) fn read_for(operation: Operation, body: Bytes) -> Result<Self, BadRequest> {
        Self::read_as(Wire::OpenAi, operation, body)
    }

    /// Reads what routing needs of a request in Anthropic's wire, of which `headers` are part.
    pub(crate) fn read_messages(body: Bytes, headers: Vec<(&'static str, String)>) -> Result<Self, BadRequest> {
        Ok(Self { headers, ..Self::read_as(Wire::Anthropic, Operation::Chat, body)? })
    }

    /// The same request with another body of the same wire.
    pub(super) fn with_body(&self, body: Bytes) -> Result<Self, BadRequest> {
        Ok(Self { headers: self.headers.clone(), ..Self::read_as(self.wire, self.operation, body)? })
    }

    fn read_as(wire: Wire, operation: Operation, body: Bytes) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&body)
            .map_err(|error| BadRequest::Malformed(format!("the body is not UTF-8: {error}")))?;
        // serde would take an array for a struct.
        if !matches!(text.trim_ascii_start().as_bytes().first(), None | Some(b'{')) {
            return Err(BadRequest::Malformed("the body is not a JSON object".to_owned()));
        }
        let mut peek: Peek<'_> =
            serde_json::from_str(text).map_err(|error| BadRequest::Malformed(error.to_string()))?;
        if wire == Wire::Anthropic {
            // They are no fields of this wire.
            (peek.n, peek.stream_options) = (None, None);
        }

        let Some(raw_model) = peek.model else { return Err(field("model", "you must provide a model parameter")) };
        let model: String = value("model", raw_model, "must be a string")?;
        peek.check_content(operation)?;
        let span = span_of(text, raw_model.get());
        let user = peek.user.map(|raw| span_of(text, raw.get()));
        let metadata = peek.metadata.map(|raw| span_of(text, raw.get()));
        let answers = match operation {
            Operation::Embeddings => {
                Answers { stream: false, choices: 1, usage: UsageWish::default(), max_output: None }
            }
            Operation::Chat | Operation::TextCompletion => peek.answers(text, span.end)?,
        };
        let Answers { stream, mut choices, mut usage, max_output } = answers;
        if wire == Wire::Anthropic {
            // A stream of this wire always says what it spent.
            usage = UsageWish { asked: true, edit: None };
        }
        let mut as_chat = None;
        if operation == Operation::TextCompletion {
            choices = choices.saturating_mul(peek.prompt.map_or(1, |prompt| text_completion::prompts(prompt.get())));
            as_chat = Some(text_completion::as_chat(&body).and_then(Self::read).map(Box::new));
        }
        let headers = Vec::new();
        Ok(Self {
            wire,
            headers,
            operation,
            span,
            user,
            metadata,
            model,
            stream,
            choices,
            usage,
            max_output,
            as_chat,
            body,
        })
    }

    /// The request as it came.
    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// The request for a conversation that came in VX11's own words. A stream is asked to report its usage.
    pub(crate) fn compose(model: &str, messages: &[Message], stream: bool) -> serde_json::Result<Self> {
        const MODEL_AT: usize = br#"{"model":"#.len();
        let stream_options = stream.then_some(StreamOptions { include_usage: true });
        let body = serde_json::to_vec(&Composed { model: "", messages, stream, stream_options })?;
        Ok(Self {
            wire: Wire::OpenAi,
            headers: Vec::new(),
            operation: Operation::Chat,
            body: body.into(),
            span: MODEL_AT..MODEL_AT + 2,
            user: None,
            metadata: None,
            model: model.to_owned(),
            stream,
            choices: 1,
            usage: UsageWish { asked: true, edit: None },
            max_output: None,
            as_chat: None,
        })
    }

    /// Whether the caller wants a stream's usage as its last chunk.
    pub(crate) fn wants_usage(&self) -> bool {
        self.usage.asked
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// For whom the caller asks, where it says so: OpenAI's `user`, Anthropic's `metadata.user_id`.
    pub(crate) fn user(&self) -> Option<String> {
        match self.wire {
            Wire::Anthropic => self.tag("user_id"),
            Wire::OpenAi | Wire::Gemini => serde_json::from_slice(&self.body[self.user.clone()?]).ok(),
        }
    }

    /// An entry of `metadata`, where it is a text.
    pub(crate) fn tag(&self, name: &str) -> Option<String> {
        let metadata: Map<String, Value> = serde_json::from_slice(&self.body[self.metadata.clone()?]).ok()?;
        metadata.get(name)?.as_str().map(str::to_owned)
    }

    /// The body for a target that knows the model as `model`.
    pub(crate) fn body_for(&self, model: &str) -> Bytes {
        self.spliced(model, None)
    }

    /// The same, with the wish that a stream report its usage, whether the caller has it or not.
    pub(crate) fn body_asking_usage(&self, model: &str) -> Bytes {
        self.spliced(model, self.usage.edit.as_ref())
    }

    fn spliced(&self, model: &str, usage: Option<&stream_options::Edit>) -> Bytes {
        let Ok(name) = serde_json::to_string(model) else { return self.body.clone() };
        let renamed = self.body[self.span.clone()] != *name.as_bytes();
        let mut edits = [
            renamed.then_some((self.span.clone(), name.as_str())),
            usage.map(|edit| (edit.span.clone(), edit.text.as_str())),
        ];
        if edits.iter().all(Option::is_none) {
            return self.body.clone();
        }
        edits.sort_by_key(|edit| edit.as_ref().map(|(span, _)| span.start));
        let mut body = Vec::with_capacity(self.body.len() + name.len() + usage.map_or(0, |edit| edit.text.len()));
        let mut copied = 0;
        for (span, text) in edits.into_iter().flatten() {
            body.extend_from_slice(&self.body[copied..span.start]);
            body.extend_from_slice(text.as_bytes());
            copied = span.end;
        }
        body.extend_from_slice(&self.body[copied..]);
        body.into()
    }
}

/// What a request says about the answers it wants.
struct Answers {
    stream: bool,
    choices: u32,
    usage: UsageWish,
    max_output: Option<u64>,
}

impl Peek<'_> {
    /// Whether that which the model is to read is there.
    fn check_content(&self, operation: Operation) -> Result<(), BadRequest> {
        let (name, content) = match operation {
            Operation::Chat => ("messages", self.messages),
            Operation::TextCompletion => ("prompt", self.prompt),
            Operation::Embeddings => ("input", self.input),
        };
        match content.and_then(|content| content.get().as_bytes().first()) {
            None => Err(field(name, "is required")),
            Some(b'[') => Ok(()),
            Some(b'"') if operation != Operation::Chat => Ok(()),
            Some(_) if operation == Operation::Chat => Err(field(name, "must be an array of messages")),
            Some(_) => Err(field(name, "must be a text, texts, or tokens")),
        }
    }

    /// `text` is the body, in which the model ends at `model_end`.
    fn answers(&self, text: &str, model_end: usize) -> Result<Answers, BadRequest> {
        let stream: Option<bool> =
            self.stream.map(|raw| value("stream", raw, "must be true or false")).transpose()?.flatten();
        let choices: Option<u32> = self.n.map(|raw| value("n", raw, "must be a whole number")).transpose()?.flatten();
        let stream = stream.unwrap_or(false);
        let options = self.stream_options.map(|raw| (raw, span_of(text, raw.get())));
        let usage = match stream {
            true => UsageWish::read(options, model_end),
            // Without a stream its options are the provider's to judge.
            false => Some(UsageWish::default()),
        };
        let usage = usage.ok_or_else(|| field("stream_options", "must be an object as in OpenAI's API reference"))?;
        // What is no number is the provider's to refuse.
        let limit = self.max_completion_tokens.or(self.max_tokens);
        let max_output = limit.and_then(|raw| serde_json::from_str(raw.get()).ok());
        Ok(Answers { stream, choices: choices.unwrap_or(1), usage, max_output })
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

#[derive(Serialize)]
struct StreamOptions {
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
    use serde_json::json;
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
        let request =
            read(r#"{"model": "m", "messages": [{"model": "inner"}], "stream": null, "n": null}"#).expect("readable");
        assert_eq!((request.model.as_str(), request.stream, request.choices), ("m", false, 1));
        let limit = |field: &str| read(&format!(r#"{{"model": "m", "messages": []{field}}}"#)).expect(field).max_output;
        assert_eq!([limit(""), limit(r#", "max_tokens": 7"#)], [None, Some(7)]);
        assert_eq!(limit(r#", "max_tokens": 7, "max_completion_tokens": 9"#), Some(9));
        assert_eq!(limit(r#", "max_tokens": "many""#), None);
    }

    #[test]
    fn user_and_tags_are_read_when_they_are_asked_for() {
        let request =
            read(r#"{"model":"m","messages":[],"user":"u\u0031","metadata":{"tier":"free","n":1}}"#).expect("readable");
        assert_eq!((request.user().as_deref(), request.tag("tier").as_deref()), (Some("u1"), Some("free")));
        assert_eq!((request.tag("n"), request.tag("none")), (None, None));
        let request = read(r#"{"model":"m","messages":[],"user":7,"metadata":"x"}"#).expect("not the gateway's affair");
        assert_eq!((request.user(), request.tag("tier")), (None, None));
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
            let own = ["model", "messages", "stream", "n", "user"];
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
