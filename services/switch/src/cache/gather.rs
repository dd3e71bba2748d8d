//! A stream's chunks as the one body that they would have been.
//!
//! Text is joined, parts of tool calls are put together by their index, and of what is said about the whole answer the
//! last word holds. Where it is not plain how two parts belong together, there is no body: better none than a wrong
//! one.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Texts that come in pieces.
const TEXTS: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];
/// Most choices, tool calls of a choice, and fields of a chunk: more are no answer to be kept.
const MOST: usize = 128;

/// The parts so far.
#[derive(Debug)]
pub(crate) struct Gather {
    /// What chunks have beside their choices.
    envelope: Map<String, Value>,
    choices: BTreeMap<u64, Choice>,
    bytes: usize,
    limit: usize,
    /// Whether something came that cannot be put together, or too much.
    is_lost: bool,
}

#[derive(Debug, Default)]
struct Choice {
    /// `None`: a text completion's.
    message: Option<Map<String, Value>>,
    text: String,
    calls: BTreeMap<u64, Map<String, Value>>,
    logprobs: Map<String, Value>,
    rest: Map<String, Value>,
}

/// It cannot be put together.
struct Unclear;

impl Gather {
    /// Gathers a body of up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { envelope: Map::new(), choices: BTreeMap::new(), bytes: 0, limit, is_lost: false }
    }

    /// Takes in the payload of an event.
    pub(crate) fn add(&mut self, data: &[u8]) {
        if !self.is_lost && !data.trim_ascii().is_empty() {
            self.is_lost = self.take(data).is_err() || self.bytes > self.limit;
        }
    }

    /// The body, where there is one.
    pub(crate) fn finish(self) -> Option<Vec<u8>> {
        let Self { mut envelope, choices, limit, is_lost, .. } = self;
        let of_chat = choices.values().any(|choice| choice.message.is_some());
        // One of each sort has written a part of it.
        let is_mixed = of_chat && choices.values().any(|choice| !choice.text.is_empty());
        if is_lost || is_mixed || choices.is_empty() {
            return None;
        }
        let object = if of_chat { "chat.completion" } else { "text_completion" };
        envelope.insert("object".to_owned(), object.into());
        envelope.insert("choices".to_owned(), choices.into_iter().map(|(index, choice)| choice.whole(index)).collect());
        let body = serde_json::to_vec(&envelope).ok()?;
        (body.len() <= limit).then_some(body)
    }

    fn take(&mut self, data: &[u8]) -> Result<(), Unclear> {
        let mut chunk: Map<String, Value> = serde_json::from_slice(data).map_err(|_| Unclear)?;
        let choices = match chunk.remove("choices") {
            Some(Value::Array(choices)) => choices,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => return Err(Unclear),
        };
        // What OpenAI pads chunks with.
        chunk.remove("obfuscation");
        keep_last(&mut self.envelope, chunk)?;
        for choice in choices {
            let Value::Object(mut choice) = choice else { return Err(Unclear) };
            let index = choice.remove("index").and_then(|index| index.as_u64()).unwrap_or(0);
            self.bytes += self.choices.entry(index).or_default().take(choice)?;
        }
        if self.choices.len() > MOST { Err(Unclear) } else { Ok(()) }
    }
}

impl Choice {
    /// Takes in what a chunk says of the choice, and tells how many bytes that adds, about.
    fn take(&mut self, mut choice: Map<String, Value>) -> Result<usize, Unclear> {
        let mut added = 0;
        match choice.remove("delta") {
            Some(Value::Object(delta)) => added += self.take_delta(delta)?,
            None | Some(Value::Null) => {}
            Some(_) => return Err(Unclear),
        }
        match choice.remove("text") {
            Some(Value::String(text)) => {
                added += text.len();
                self.text.push_str(&text);
            }
            None | Some(Value::Null) => {}
            Some(_) => return Err(Unclear),
        }
        match choice.remove("logprobs") {
            Some(Value::Object(logprobs)) => added += join_lists(&mut self.logprobs, logprobs)?,
            None | Some(Value::Null) => {}
            Some(_) => return Err(Unclear),
        }
        if choice.get("finish_reason").is_some_and(|reason| reason == "") {
            choice.remove("finish_reason");
        }
        keep_last(&mut self.rest, choice)?;
        Ok(added)
    }

    fn take_delta(&mut self, delta: Map<String, Value>) -> Result<usize, Unclear> {
        let mut added = 0;
        let message = self.message.get_or_insert_default();
        for (name, value) in delta {
            match value {
                Value::Null => {}
                Value::String(text) if TEXTS.contains(&name.as_str()) => {
                    added += text.len();
                    join_text(message, name, &text)?;
                }
                Value::Array(calls) if name == "tool_calls" => {
                    for (place, call) in calls.into_iter().enumerate() {
                        let Value::Object(mut call) = call else { return Err(Unclear) };
                        let index = call.remove("index").and_then(|index| index.as_u64()).unwrap_or(place as u64);
                        added += take_call(self.calls.entry(index).or_default(), call)?;
                    }
                }
                Value::Object(call) if name == "function_call" => {
                    let whole = message.entry(name).or_insert_with(|| json!({}));
                    added += take_function(whole.as_object_mut().ok_or(Unclear)?, call)?;
                }
                value => keep_same(message, name, value)?,
            }
        }
        if self.calls.len() > MOST || message.len() > MOST { Err(Unclear) } else { Ok(added) }
    }

    fn whole(self, index: u64) -> Value {
        let Self { message, text, calls, logprobs, rest: mut choice, .. } = self;
        match message {
            Some(mut message) => {
                message.entry("role").or_insert_with(|| "assistant".into());
                let content = message.entry("content").or_insert(Value::Null);
                // Before a tool call an empty text is no text.
                if (!calls.is_empty() || choice.get("finish_reason").is_some_and(|reason| reason == "function_call"))
                    && content == ""
                {
                    *content = Value::Null;
                }
                if !calls.is_empty() {
                    let calls = calls.into_values().map(Value::Object).collect();
                    message.insert("tool_calls".to_owned(), Value::Array(calls));
                }
                choice.insert("message".to_owned(), Value::Object(message));
            }
            None => {
                choice.insert("text".to_owned(), text.into());
            }
        }
        choice.insert("index".to_owned(), index.into());
        choice.entry("finish_reason").or_insert(Value::Null);
        let logprobs = if logprobs.is_empty() { Value::Null } else { Value::Object(logprobs) };
        choice.insert("logprobs".to_owned(), logprobs);
        Value::Object(choice)
    }
}

fn take_call(whole: &mut Map<String, Value>, call: Map<String, Value>) -> Result<usize, Unclear> {
    let mut added = 0;
    for (name, value) in call {
        match value {
            Value::Null => {}
            Value::Object(function) if name == "function" => {
                let whole = whole.entry(name).or_insert_with(|| json!({}));
                added += take_function(whole.as_object_mut().ok_or(Unclear)?, function)?;
            }
            value => keep_same(whole, name, value)?,
        }
    }
    Ok(added)
}

fn take_function(whole: &mut Map<String, Value>, function: Map<String, Value>) -> Result<usize, Unclear> {
    let mut added = 0;
    for (name, value) in function {
        match value {
            Value::Null => {}
            Value::String(text) if name == "arguments" => {
                added += text.len();
                join_text(whole, name, &text)?;
            }
            value => keep_same(whole, name, value)?,
        }
    }
    Ok(added)
}

fn join_text(whole: &mut Map<String, Value>, name: String, more: &str) -> Result<(), Unclear> {
    match whole.entry(name).or_insert_with(|| "".into()) {
        Value::String(text) => {
            text.push_str(more);
            Ok(())
        }
        _ => Err(Unclear),
    }
}

/// Lists of what is known of each token grow; beside them there is nothing.
fn join_lists(whole: &mut Map<String, Value>, more: Map<String, Value>) -> Result<usize, Unclear> {
    let mut added = 0;
    for (name, value) in more {
        match (value, whole.entry(name).or_insert(Value::Null)) {
            (Value::Null, _) => {}
            (Value::Array(items), known @ Value::Null) => {
                added += items.len() * 64;
                *known = Value::Array(items);
            }
            (Value::Array(mut items), Value::Array(known)) => {
                added += items.len() * 64;
                known.append(&mut items);
            }
            _ => return Err(Unclear),
        }
    }
    Ok(added)
}

/// What may be said again in the same words only.
fn keep_same(whole: &mut Map<String, Value>, name: String, value: Value) -> Result<(), Unclear> {
    match whole.get(&name) {
        None => {
            whole.insert(name, value);
            Ok(())
        }
        Some(known) if *known == value => Ok(()),
        // Some send an empty id or name with every part after the first.
        Some(_) if value == "" => Ok(()),
        Some(_) => Err(Unclear),
    }
}

/// What is said of the whole answer: the last word holds.
fn keep_last(whole: &mut Map<String, Value>, more: Map<String, Value>) -> Result<(), Unclear> {
    for (name, value) in more {
        if !value.is_null() {
            whole.insert(name, value);
        }
    }
    if whole.len() > MOST { Err(Unclear) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
