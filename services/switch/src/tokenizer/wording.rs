//! What of a request or an answer is text that a model reads or writes, in tokens.
//!
//! Text that stands in JSON counts as the text that it is. Around it OpenAI's models put marks of their own, of which
//! is published: three tokens for each message, three before the answer, one for a name. How tools are written down is
//! not; the numbers are those that OpenAI's cookbook found, and a tool that says more than it looked at counts at least
//! what its JSON does. Every wire is read by the same names, because they agree in them. Of a request, what has a name
//! that nobody here knows is estimated where it is too long for an option: no text is free because it stands in a new
//! place. Images and the like count alike whatever their size.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer as Json, Value};

use super::{Counter, Vocabulary};
use crate::accounts::{ATTACHMENT, estimate_tokens};
use crate::domain::operation::Operation;

/// Bytes of text that are counted of one request or answer, more than any context has; the rest is estimated.
const MOST: usize = 2 * 1024 * 1024;
/// Around each message.
const MESSAGE: u64 = 3;
/// For who speaks, where the wire does not say it in a word.
const ROLE: u64 = 1;
/// What the answer begins with.
const PRIMING: u64 = 3;
/// For the name that somebody or something has.
const NAME: u64 = 1;
/// Bytes in JSON that an option or an id has at most; what is longer may be text.
const OPTION: usize = 128;
/// Bytes of tools that are read; longer ones count as they stand.
const MOST_TOOLS: usize = 256 * 1024;

/// The tokens of a request's `body` for `operation`, in any caller's wire. `None`: it cannot be read.
pub(crate) fn prompt_tokens(vocabulary: Vocabulary, body: &[u8], operation: Operation) -> Option<u64> {
    let mut count = Count::new(vocabulary);
    count.read(std::str::from_utf8(body).ok()?, Place::Request(operation))?;
    Some(count.tokens + if operation == Operation::Chat { PRIMING } else { 0 })
}

/// The tokens that are written in a chat completion, or in one of the older way. `None`: it cannot be read.
pub(crate) fn answer_tokens(vocabulary: Vocabulary, body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Answer<'a> {
        #[serde(borrow)]
        choices: Vec<Choice<'a>>,
    }
    #[derive(Deserialize)]
    struct Choice<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        text: Option<String>,
    }
    let answer: Answer<'_> = serde_json::from_slice(body).ok()?;
    let mut count = Count::new(vocabulary);
    for choice in answer.choices {
        match (choice.message, choice.text) {
            (Some(message), _) => count.read(message.get(), Place::Answer)?,
            (None, text) => count.text(&text.unwrap_or_default()),
        }
    }
    Some(count.tokens)
}

/// A count under way.
struct Count {
    counter: Counter,
    vocabulary: Vocabulary,
    tokens: u64,
    /// Bytes that may still be counted.
    left: usize,
}

/// Where in a body a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Request(Operation),
    /// Messages, or one that is but its text.
    Messages,
    Message,
    /// A part of a message, or a call of a tool.
    Part,
    /// The message of an answer.
    Answer,
    /// Text or tokens, as they are.
    Plain,
    /// JSON that a model is shown as it stands.
    Raw,
    Tools,
    /// What may have a schema in it.
    Format,
    /// What is attached to a message, which may be text.
    Source,
    /// A source that is text.
    Document,
    Attachment,
    /// Nobody knows.
    Unknown,
    /// A model is not shown it.
    Nowhere,
}

impl Place {
    /// Where the value of `key` stands, in an object that stands here.
    fn of(self, key: &str) -> Self {
        match (self, key) {
            (Self::Request(_), "messages") | (Self::Request(Operation::Chat), "input") => Self::Messages,
            (Self::Request(_), "system" | "instructions") => Self::Message,
            (Self::Request(_), "prompt" | "suffix" | "input") => Self::Plain,
            (Self::Request(_), "tools" | "functions") => Self::Tools,
            (Self::Request(_), "response_format" | "text" | "output_config") => Self::Format,
            (Self::Request(_), "metadata" | "user" | "stop" | "logit_bias" | "tool_choice" | "stream_options")
            | (Self::Answer, "role")
            | (_, "id" | "type" | "signature" | "encrypted_content" | "cache_control" | "annotations" | "citations")
            | (_, "reasoning_details" | "extra_content") => Self::Nowhere,
            (Self::Request(_), _) => Self::Unknown,
            (Self::Document, "data") => Self::Part,
            (_, "role" | "name" | "text" | "content" | "refusal" | "arguments" | "output")
            | (_, "tool_calls" | "function_call" | "function" | "custom")
            | (_, "reasoning_content" | "reasoning" | "thinking" | "summary" | "title" | "context") => Self::Part,
            (Self::Part | Self::Message, "input") => Self::Raw,
            (_, "source") => Self::Source,
            (
                _,
                "image_url" | "video_url" | "input_audio" | "audio" | "file" | "file_data" | "file_id" | "file_url",
            ) => Self::Attachment,
            // What a model has written stands in the places that are known.
            (Self::Answer, _) | (_, "data") => Self::Nowhere,
            _ => Self::Unknown,
        }
    }
}

impl Count {
    fn new(vocabulary: Vocabulary) -> Self {
        Self { counter: Counter::new(vocabulary), vocabulary, tokens: 0, left: MOST }
    }

    fn read(&mut self, json: &str, place: Place) -> Option<()> {
        Wording { count: self, place }.deserialize(&mut Json::from_str(json)).ok()
    }

    fn text(&mut self, text: &str) {
        self.tokens += match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                self.counter.tokens(text)
            }
            None => estimate_tokens(text),
        };
    }

    fn tools(&mut self, tools: &str) {
        if tools.len() > MOST_TOOLS {
            return self.text(tools);
        }
        let listed: Option<Vec<Value>> = serde_json::from_str(tools).unwrap_or_default();
        let Some(listed) = listed.filter(|listed| !listed.is_empty()) else { return };
        let each = match self.vocabulary {
            Vocabulary::O200k => 7,
            Vocabulary::Cl100k => 10,
        };
        for tool in &listed {
            let tool = ["function", "custom"].iter().find_map(|key| tool.get(key)).unwrap_or(tool);
            let before = self.tokens;
            self.tokens += each;
            self.text(&format!("{}:{}", said(tool, "name"), said(tool, "description")));
            ["parameters", "input_schema"].iter().for_each(|key| self.properties(&tool[key]));
            if !is_plain_tool(tool) {
                let counted = std::mem::replace(&mut self.tokens, before);
                self.text(&tool.to_string());
                self.tokens = self.tokens.max(counted);
            }
        }
        self.tokens += 12;
    }

    /// The properties of a JSON schema, and those of what they hold.
    fn properties(&mut self, schema: &Value) {
        let Some(properties) = schema["properties"].as_object().filter(|properties| !properties.is_empty()) else {
            return;
        };
        self.tokens += 3;
        for (key, property) in properties {
            self.tokens += 3;
            for value in property["enum"].as_array().into_iter().flatten() {
                self.tokens += 3;
                self.text(value.as_str().unwrap_or_default());
            }
            self.tokens -= if property["enum"].is_array() { 3 } else { 0 };
            self.text(&format!("{key}:{}:{}", said(property, "type"), said(property, "description")));
            self.text(said(property, "title"));
            self.properties(property);
            self.properties(&property["items"]);
        }
    }
}

/// Whether [`Count::tools`] sees all that `tool` says.
fn is_plain_tool(tool: &Value) -> bool {
    tool.as_object().is_some_and(|keys| {
        keys.iter().all(|(key, value)| match key.as_str() {
            "name" | "description" | "type" => value.is_string(),
            "cache_control" | "strict" => true,
            "parameters" | "input_schema" => is_plain(value, false),
            _ => is_scalar(value),
        })
    })
}

/// Whether [`Count::properties`] sees all that a schema says, which may be that of a property.
fn is_plain(schema: &Value, of_property: bool) -> bool {
    let Some(keys) = schema.as_object() else { return is_scalar(schema) };
    keys.iter().all(|(key, value)| match key.as_str() {
        "properties" => value.as_object().is_some_and(|all| all.values().all(|property| is_plain(property, true))),
        "items" => of_property && is_plain(value, false),
        "description" | "title" => of_property && value.is_string(),
        "enum" => {
            of_property && value.as_array().is_some_and(|all| all.iter().all(|one| one.is_string() || is_scalar(one)))
        }
        "type" | "required" | "$schema" => true,
        _ => is_scalar(value),
    })
}

/// Whether there is no text in it.
fn is_scalar(value: &Value) -> bool {
    value.is_null() || value.is_boolean() || value.is_number()
}

/// A text in `object`, without the dot at its end.
fn said<'a>(object: &'a Value, key: &str) -> &'a str {
    let text = object[key].as_str().unwrap_or_default();
    text.strip_suffix('.').unwrap_or(text)
}

/// Reads a value without keeping it: of a long body no more than one text is held at a time.
struct Wording<'c> {
    count: &'c mut Count,
    place: Place,
}

impl Wording<'_> {
    fn begin_message(&mut self) {
        if self.place == Place::Message {
            self.count.tokens += MESSAGE;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Wording<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.place {
            Place::Nowhere => IgnoredAny::deserialize(deserializer).map(drop),
            Place::Attachment => {
                self.count.tokens += ATTACHMENT;
                IgnoredAny::deserialize(deserializer).map(drop)
            }
            Place::Raw => <&RawValue>::deserialize(deserializer).map(|raw| self.count.text(raw.get())),
            Place::Tools => <&RawValue>::deserialize(deserializer).map(|tools| self.count.tools(tools.get())),
            Place::Unknown => {
                let unknown = <&RawValue>::deserialize(deserializer)?.get();
                if unknown.len() > OPTION {
                    self.count.tokens += estimate_tokens(unknown);
                }
                Ok(())
            }
            Place::Source => {
                let source = <&RawValue>::deserialize(deserializer)?.get();
                let place = if is_text(source) { Place::Document } else { Place::Attachment };
                // It is JSON: it was read once.
                let _ = self.count.read(source, place);
                Ok(())
            }
            Place::Format => {
                let format = <&RawValue>::deserialize(deserializer)?.get();
                if format.contains("\"schema\"") {
                    self.count.text(format);
                }
                Ok(())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

/// Whether what is attached is text, or parts of a message.
fn is_text(source: &str) -> bool {
    #[derive(Deserialize)]
    struct Source<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    serde_json::from_str(source).is_ok_and(|Source { kind }| matches!(&*kind, "text" | "content"))
}

impl<'de> Visitor<'de> for Wording<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a request or an answer")
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        if matches!(self.place, Place::Messages | Place::Message) {
            self.place = Place::Message;
            self.begin_message();
            self.count.tokens += ROLE;
        }
        self.count.text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let place = match self.place {
            Place::Messages => Place::Message,
            // A message of several parts.
            Place::Message => {
                self.begin_message();
                self.count.tokens += ROLE;
                Place::Part
            }
            place => place,
        };
        while list.next_element_seed(Wording { count: self.count, place })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.begin_message();
        // Some send it under two names.
        let mut reasoning = 0;
        while let Some(key) = map.next_key::<String>()? {
            let before = self.count.tokens;
            map.next_value_seed(Wording { count: self.count, place: self.place.of(&key) })?;
            match key.as_str() {
                "name" if self.count.tokens > before => self.count.tokens += NAME,
                "reasoning" | "reasoning_content" => {
                    reasoning = reasoning.max(self.count.tokens - before);
                    self.count.tokens = before;
                }
                _ => {}
            }
        }
        self.count.tokens += reasoning;
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        if self.place == Place::Plain {
            self.count.tokens += 1;
        }
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const BOTH: [Vocabulary; 2] = [Vocabulary::O200k, Vocabulary::Cl100k];

    fn prompt(body: &Value, operation: Operation) -> [Option<u64>; 2] {
        BOTH.map(|vocabulary| prompt_tokens(vocabulary, body.to_string().as_bytes(), operation))
    }

    fn chat(body: &Value) -> u64 {
        prompt(body, Operation::Chat)[0].expect("a request")
    }

    fn of(text: &str) -> u64 {
        Counter::new(Vocabulary::O200k).tokens(text)
    }

    #[test]
    fn messages_count_what_openai_says_that_they_do() {
        let said = |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
        let messages = json!([
            {"role": "system", "content": "You are a helpful, pattern-following assistant that translates corporate \
                jargon into plain English."},
            said("example_user", "New synergies will help drive top-line growth."),
            said("example_assistant", "Things working well together will increase revenue."),
            said("example_user", "Let's circle back when we have more bandwidth to touch base on opportunities for \
                increased leverage."),
            said("example_assistant", "Let's talk later when we're less busy about how to do better."),
            {"role": "user", "content": "This late pivot means we don't have time to boil the ocean for the client \
                deliverable."},
        ]);
        assert_eq!(prompt(&json!({"messages": messages}), Operation::Chat), [Some(124), Some(129)]);
    }

    #[test]
    fn tools_count_what_openai_says_that_they_do() {
        let location = json!({"type": "string", "description": "The city and state, e.g. San Francisco, CA"});
        let unit = json!({"type": "string", "description": "The unit of temperature to return",
            "enum": ["celsius", "fahrenheit"]});
        let schema = json!({"type": "object", "properties": {"location": location, "unit": unit},
            "required": ["location"]});
        let description = "Get the current weather in a given location";
        let function = json!({"name": "get_current_weather", "description": description, "parameters": schema});
        let messages = json!([
            {"role": "system",
                "content": "You are a helpful assistant that can answer to questions about the weather."},
            {"role": "user", "content": "What's the weather like in San Francisco?"},
        ]);
        let nested = json!({"messages": messages, "tools": [{"type": "function", "function": function}]});
        assert_eq!(prompt(&nested, Operation::Chat), [Some(101), Some(105)]);
        let flat = json!({"messages": messages, "tools": [function]});
        assert_eq!(prompt(&flat, Operation::Chat), [Some(101), Some(105)]);
        let anthropics = json!({"name": "get_current_weather", "description": description, "input_schema": schema});
        assert_eq!(chat(&json!({"messages": messages, "tools": [anthropics]})), 101);
        assert_eq!(chat(&json!({"messages": messages, "tools": []})), chat(&json!({"messages": messages})));
    }

    #[test]
    fn every_wire_says_the_same() {
        let text = "Say \"é\"\n\tor \\ nothing 😀";
        let expected = MESSAGE + 1 + of(text) + PRIMING;
        let parts = |kind: &str| json!([{"type": kind, "text": text}]);
        for body in [
            json!({"messages": [{"role": "user", "content": text}], "model": "m", "user": "somebody", "stop": ["x"]}),
            json!({"messages": [{"content": parts("text"), "role": "user"}]}),
            json!({"input": text}),
            json!({"input": [{"role": "user", "content": text}]}),
            json!({"input": [{"type": "message", "role": "user", "content": parts("input_text")}]}),
            json!({"system": text}),
            json!({"system": parts("text")}),
            json!({"instructions": text}),
        ] {
            assert_eq!(chat(&body), expected, "{body}");
        }
        // As it may be escaped.
        let escaped = br#"{"messages":[{"role":"user","content":"Say \"\u00e9\"\n\tor \\ nothing \ud83d\ude00"}]}"#;
        assert_eq!(prompt_tokens(Vocabulary::O200k, escaped, Operation::Chat), Some(expected));
    }

    #[test]
    fn what_is_no_message_counts_as_it_is() {
        let embeddings = |input: Value| prompt(&json!({"input": input}), Operation::Embeddings)[0];
        assert_eq!(embeddings(json!("one two")), Some(2));
        assert_eq!(embeddings(json!(["one two", "three"])), Some(3));
        assert_eq!(embeddings(json!([1, 2, 3])), Some(3));
        assert_eq!(embeddings(json!([[1, 2], [3]])), Some(3));
        let completion = json!({"prompt": ["one two", "three"], "suffix": "end"});
        assert_eq!(prompt(&completion, Operation::TextCompletion)[0], Some(4));
    }

    #[test]
    fn calls_their_results_and_images_are_part_of_a_prompt() {
        let base = chat(&json!({"messages": []}));
        let one = |message: Value| chat(&json!({"messages": [message]})) - base - MESSAGE - 1;
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"a\": 1}"}});
        let called = of("f") + of("{\"a\": 1}") + NAME;
        assert_eq!(one(json!({"role": "assistant", "content": null, "tool_calls": [call]})), called);
        assert_eq!(one(json!({"role": "tool", "tool_call_id": "c", "content": "fine"})), 1);
        let used = json!([{"type": "tool_use", "id": "t", "name": "f", "input": {"a":1}}]);
        assert_eq!(one(json!({"role": "assistant", "content": used})), of("f") + NAME + of("{\"a\":1}"));
        let result =
            json!([{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "fine"}]}]);
        assert_eq!(one(json!({"role": "user", "content": result})), 1);
        let data = "iVBORw0KGgo+".repeat(10_000);
        for image in [
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
            json!({"type": "input_image", "image_url": format!("data:image/png;base64,{data}")}),
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}),
        ] {
            assert_eq!(one(json!({"role": "user", "content": [image]})), ATTACHMENT);
        }
    }

    #[test]
    fn text_counts_wherever_it_stands_in_a_request() {
        let base = chat(&json!({"messages": []}));
        let text = "Nobody reads this for nothing. ".repeat(100);
        let one = |part: Value| chat(&json!({"messages": [{"role": "user", "content": [part]}]})) - base - MESSAGE - 1;
        let plain = |data: Value| json!({"type": "document", "source": {"type": "text", "data": data}});
        assert_eq!(one(plain(json!(text))), of(&text));
        let parts = json!([{"type": "text", "text": text}]);
        assert_eq!(one(json!({"type": "document", "source": {"type": "content", "content": parts}})), of(&text));
        assert_eq!(one(json!({"type": "thinking", "thinking": text, "signature": "x".repeat(500)})), of(&text));
        let reasoned = |key: &str| chat(&json!({"messages": [{"role": "assistant", key: text}]})) - base - MESSAGE - 1;
        assert_eq!(["reasoning", "reasoning_content"].map(reasoned), [of(&text); 2]);
        // Where nobody has seen any yet it is estimated, and an option is none.
        let estimated = estimate_tokens(&format!("{text:?}"));
        assert_eq!(one(json!({"type": "novelty", "wisdom": text, "detail": "high"})), estimated);
        assert_eq!(
            chat(&json!({"messages": [], "wisdom": text, "effort": "high", "metadata": {"a": text}})),
            base + estimated
        );
    }

    #[test]
    fn a_tool_counts_all_that_it_says() {
        let text = "Nobody reads this for nothing. ".repeat(100);
        let tools = |tool: Value| chat(&json!({"messages": [], "tools": [tool]}));
        let schema =
            |schema: Value| tools(json!({"type": "function", "function": {"name": "f", "parameters": schema}}));
        let property = |property: Value| json!({"type": "object", "properties": {"a": property}});
        let described = json!({"type": "string", "description": text});
        for said in [
            json!({"anyOf": [described]}),
            json!({"type": "object", "description": text}),
            json!({"$defs": {"a": described}, "$ref": "#/$defs/a"}),
            json!({"type": "object", "additionalProperties": described}),
            property(described.clone()),
            property(json!({"oneOf": [described]})),
            property(json!({"type": "array", "items": described})),
            property(json!({"type": "array", "items": {"enum": [text]}})),
            property(json!({"type": "string", "title": text})),
            property(json!({"type": "string", "default": text})),
            property(json!({"type": "object", "properties": {"b": described}})),
        ] {
            assert!(schema(said.clone()) >= of(&text), "{said}");
        }
        let custom = json!({"name": "f", "description": text});
        assert!(tools(json!({"type": "custom", "custom": custom})) >= of(&text));
        let grammar = json!({"type": "custom", "name": "f", "format": {"type": "grammar", "definition": text}});
        assert!(tools(grammar) >= of(&text));
        // What says no more is worth no more.
        let plain = json!({"type": ["string", "null"], "description": "one", "minLength": 1});
        let strict = json!({"type": "object", "properties": {"a": plain}, "required": ["a"],
            "additionalProperties": false, "$schema": "https://json-schema.org/draft/2020-12/schema"});
        assert_eq!(schema(strict), schema(property(json!({"description": "one"}))));
    }

    #[test]
    fn an_answer_is_all_that_is_in_it() {
        let answer = |message: Value| {
            let body = json!({"choices": [{"message": message}]});
            answer_tokens(Vocabulary::O200k, body.to_string().as_bytes())
        };
        assert_eq!(answer(json!({"role": "assistant", "content": "one two three"})), Some(3));
        let reasoned = json!({"content": "one", "reasoning": "so it is", "reasoning_content": "so it is"});
        assert_eq!(answer(reasoned), Some(4));
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}});
        assert_eq!(answer(json!({"content": null, "tool_calls": [call]})), Some(of("f") + of("{}") + NAME));
        assert_eq!(answer_tokens(Vocabulary::O200k, br#"{"choices":[{"text":"one two"},{"text":"one"}]}"#), Some(3));
        assert_eq!(answer_tokens(Vocabulary::O200k, br#"{"data":[]}"#), None);
    }

    #[test]
    fn beyond_what_is_counted_it_is_estimated() {
        let long = "word ".repeat(MOST / 5 + 1);
        let tokens = chat(&json!({"messages": [{"role": "user", "content": long}]}));
        assert_eq!(tokens, estimate_tokens(&long) + MESSAGE + 1 + PRIMING);
    }

    #[test]
    fn what_cannot_be_read_has_no_count() {
        for body in ["", "{", "[1", "{\"messages\":[{\"content\":\"\\ud800\"}]}", "\u{feff}{}"] {
            assert_eq!(prompt_tokens(Vocabulary::O200k, body.as_bytes(), Operation::Chat), None, "{body}");
        }
        assert_eq!(prompt_tokens(Vocabulary::O200k, b"{\"a\":\"\xff\"}", Operation::Chat), None);
    }
}
