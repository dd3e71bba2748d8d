//! What of a request or an answer is text that a model reads or writes, in tokens.
//!
//! Text that stands in JSON counts as the text that it is. Around it OpenAI's models put marks of their own, of which
//! is published: three tokens for each message, three before the answer, one for a name. How tools are written down is
//! not; the numbers are those that OpenAI's cookbook found, and a tool that says more than it looked at counts at least
//! what its JSON does. Every wire is read by the same names, because they agree in them. Of a request, what has a name
//! that nobody here knows is estimated where it is too long for an option: no text is free because it stands in a new
//! place. Images and the like count alike whatever their size.

mod tools;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Deserializer as Json;
use serde_json::value::RawValue;

use super::{Counter, Vocabulary};
use crate::accounts::{ATTACHMENT, estimate_tokens};
use crate::domain::answer;
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

/// The tokens of a request's `body` for `operation`, in any caller's wire. `None`: it cannot be read.
pub(crate) fn prompt_tokens(vocabulary: Vocabulary, body: &[u8], operation: Operation) -> Option<u64> {
    let mut count = Count::new(vocabulary);
    count.read(std::str::from_utf8(body).ok()?, Place::Request(operation))?;
    Some(count.tokens + if operation == Operation::Chat { PRIMING } else { 0 })
}

/// The tokens that are written in a chat completion, or in one of the older way. `None`: it cannot be read.
pub(crate) fn answer_tokens(vocabulary: Vocabulary, body: &[u8]) -> Option<u64> {
    let mut count = Count::new(vocabulary);
    for choice in answer::choices(body)? {
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
mod tests;
