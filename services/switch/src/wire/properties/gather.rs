//! Putting a stream together as clients do, to compare it with the answer that came whole.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vx11_chassis::sse::{self, Parser};

use crate::wire::{Malformed, Piece, StreamTranslator, Wire};

/// What an answer says, in no wire.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    pub(super) content: String,
    pub(super) reasoning: String,
    /// Id, name and arguments.
    pub(super) calls: Vec<(String, String, Value)>,
    pub(super) reason: String,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

impl Said {
    /// By a whole completion.
    pub(super) fn by_completion(completion: &Value) -> Self {
        let choice = &completion["choices"][0];
        let message = &choice["message"];
        let call = |call: &Value| {
            let arguments = text(&call["function"]["arguments"]);
            (text(&call["id"]), text(&call["function"]["name"]), serde_json::from_str(&arguments).expect("JSON"))
        };
        Self {
            content: text(&message["content"]),
            reasoning: text(&message["reasoning_content"]),
            calls: message["tool_calls"].as_array().map(|calls| calls.iter().map(call).collect()).unwrap_or_default(),
            reason: text(&choice["finish_reason"]),
            prompt_tokens: completion["usage"]["prompt_tokens"].as_u64().unwrap_or_default(),
            completion_tokens: completion["usage"]["completion_tokens"].as_u64().unwrap_or_default(),
        }
    }

    /// By the chunks of a stream.
    pub(super) fn by_chunks(chunks: &[Value]) -> Self {
        let mut said = Self::default();
        let mut calls: BTreeMap<u64, (String, String, String)> = BTreeMap::new();
        for chunk in chunks {
            if let Some(usage) = chunk.get("usage") {
                said.prompt_tokens = usage["prompt_tokens"].as_u64().unwrap_or_default();
                said.completion_tokens = usage["completion_tokens"].as_u64().unwrap_or_default();
            }
            let choice = &chunk["choices"][0];
            said.content += &text(&choice["delta"]["content"]);
            said.reasoning += &text(&choice["delta"]["reasoning_content"]);
            said.reason += &text(&choice["finish_reason"]);
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                let (id, name, arguments) = calls.entry(call["index"].as_u64().expect("an index")).or_default();
                *id += &text(&call["id"]);
                *name += &text(&call["function"]["name"]);
                *arguments += &text(&call["function"]["arguments"]);
            }
        }
        let parsed = |(id, name, arguments): (String, String, String)| {
            (id, name, serde_json::from_str(&arguments).expect("JSON"))
        };
        said.calls = calls.into_values().map(parsed).collect();
        said
    }
}

/// The message that Anthropic's clients put together from events; ids of blocks and order as they come.
pub(super) fn message(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut inputs: BTreeMap<usize, String> = BTreeMap::new();
    for event in events {
        let index = event["index"].as_u64().unwrap_or_default() as usize;
        match event["type"].as_str() {
            Some("message_start") => message = event["message"].clone(),
            Some("content_block_start") => {
                let blocks = message["content"].as_array_mut().expect("a list");
                assert_eq!(blocks.len(), index, "blocks come in order");
                blocks.push(event["content_block"].clone());
            }
            Some("content_block_delta") => {
                let (block, delta) = (&mut message["content"][index], &event["delta"]);
                let mut add = |field: &str| block[field] = (text(&block[field]) + &text(&delta[field])).into();
                match delta["type"].as_str() {
                    Some("text_delta") => add("text"),
                    Some("thinking_delta") => add("thinking"),
                    Some("signature_delta") => add("signature"),
                    _ => *inputs.entry(index).or_default() += &text(&delta["partial_json"]),
                }
            }
            Some("message_delta") => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    for (index, input) in inputs {
        message["content"][index]["input"] = serde_json::from_str(&input).unwrap_or_else(|_| json!({}));
    }
    message
}

/// What comes out of a translator for events whose bytes arrive in pieces, cut at `cuts` (modulo the length).
pub(super) fn translate(events: &[Value], from: Wire, cuts: &[usize]) -> Result<Vec<Value>, Malformed> {
    let bytes: Vec<u8> = events.iter().flat_map(|event| sse::event(None, event["type"].as_str(), event)).collect();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    let mut parser = Parser::new(1 << 20);
    let mut translator = StreamTranslator::new(from, 7).expect("another wire");
    let mut chunks = Vec::new();
    for pair in cuts.windows(2) {
        parser.push(&bytes[pair[0]..pair[1]]);
        while let Some(frame) = parser.next_frame().expect("short events") {
            let pieces = translator.push(frame.data())?;
            chunks.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Chunk(chunk) => Some(chunk),
                Piece::Unsaid | Piece::Done => None,
            }));
        }
    }
    Ok(chunks)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
