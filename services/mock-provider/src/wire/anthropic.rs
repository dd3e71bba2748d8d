//! Anthropic's wire: messages, and the named events of their streams. Source: Anthropic's API reference, "Messages",
//! "Streaming messages" and "Errors".

mod error;
mod request;

use bytes::Bytes;
use serde_json::{Value, json};
use vx11_chassis::sse;

pub(crate) use error::error;
pub(crate) use request::{MessagesRequest, check_version};

use super::{Chunk, Renderer, Wire};
use crate::domain::answer::{Answer, Ending};
use crate::domain::reply::{Reply, Usage};
use crate::domain::tokens;
use crate::domain::tools::ToolCall;

/// The header that every answer has.
pub(crate) const REQUEST_ID: &str = "request-id";

/// A new request's id.
pub(crate) fn request_id() -> String {
    format!("req_{}", uuid::Uuid::new_v4().simple())
}

/// Writes Anthropic's wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anthropic;

/// A content block, as its tokens.
#[derive(Clone, Copy, Debug)]
enum Block<'a> {
    Thinking(&'a [String]),
    Text(&'a [String]),
    ToolUse(&'a ToolCall),
}

impl Renderer for Anthropic {
    const WIRE: Wire = Wire::Anthropic;

    fn whole(&self, reply: &Reply) -> Value {
        let mut whole = envelope(reply);
        for answer in &reply.answers {
            whole["content"] = blocks(answer).map(Block::whole).collect();
            stop(&mut whole, &answer.ending);
        }
        if let Some(used) = &reply.usage {
            whole["usage"] = first_usage(used, used.completion);
        }
        whole
    }

    fn chunks<'r>(&'r self, reply: &'r Reply) -> impl Iterator<Item = Chunk> + 'r {
        let mut message = envelope(reply);
        if let Some(used) = &reply.usage {
            // The first token is made by the time that the head is sent.
            message["usage"] = first_usage(used, used.completion.min(1));
        }
        let start = Chunk { value: json!({ "type": "message_start", "message": message }), tokens: 0 };
        let blocks = reply.answers.iter().flat_map(blocks).enumerate();
        let blocks = blocks.flat_map(|(index, block)| block.chunks(index));
        let end = reply.answers.iter().map(|answer| Chunk { value: message_delta(answer, reply), tokens: 0 });
        std::iter::once(start).chain(blocks).chain(end)
    }

    fn end(&self, _: &Reply) -> Bytes {
        self.write(&json!({ "type": "message_stop" }), false)
    }

    /// An event is called what its type says.
    fn write(&self, chunk: &Value, _: bool) -> Bytes {
        sse::event(None, chunk["type"].as_str(), chunk)
    }

    fn malformed(&self) -> Bytes {
        Bytes::from_static(b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"del\n\n")
    }
}

impl<'a> Block<'a> {
    fn whole(self) -> Value {
        match self {
            Self::Thinking(tokens) => {
                json!({ "type": "thinking", "thinking": tokens.concat(), "signature": signature(tokens) })
            }
            Self::Text(tokens) => json!({ "type": "text", "text": tokens.concat() }),
            Self::ToolUse(call) => {
                json!({ "type": "tool_use", "id": call_id(call), "name": call.name, "input": call.arguments })
            }
        }
    }

    /// The block as it begins, and the tokens that this costs.
    fn empty(self) -> (Value, u64) {
        match self {
            Self::Thinking(_) => (json!({ "type": "thinking", "thinking": "", "signature": "" }), 0),
            Self::Text(_) => (json!({ "type": "text", "text": "" }), 0),
            Self::ToolUse(call) => {
                let block = json!({ "type": "tool_use", "id": call_id(call), "name": call.name, "input": {} });
                (block, tokens::count(&call.name))
            }
        }
    }

    /// What is added to it, token by token; a delta without a token costs nothing.
    fn deltas(self) -> Box<dyn Iterator<Item = (Value, u64)> + 'a> {
        match self {
            Self::Thinking(tokens) => {
                let thinking = |token| (json!({ "type": "thinking_delta", "thinking": token }), 1);
                let signed = move || (json!({ "type": "signature_delta", "signature": signature(tokens) }), 0);
                Box::new(tokens.iter().map(thinking).chain(std::iter::once_with(signed)))
            }
            Self::Text(tokens) => {
                Box::new(tokens.iter().map(|token| (json!({ "type": "text_delta", "text": token }), 1)))
            }
            Self::ToolUse(call) => {
                let delta = |part: &str, tokens| (json!({ "type": "input_json_delta", "partial_json": part }), tokens);
                let input = call.arguments.to_string();
                let parts: Vec<_> = tokens::split(&input).map(|part| delta(part, 1)).collect();
                Box::new(std::iter::once(delta("", 0)).chain(parts))
            }
        }
    }

    fn chunks(self, index: usize) -> impl Iterator<Item = Chunk> + 'a {
        let (empty, tokens) = self.empty();
        let start = json!({ "type": "content_block_start", "index": index, "content_block": empty });
        let ping = (index == 0).then(|| Chunk { value: json!({ "type": "ping" }), tokens: 0 });
        let deltas = self.deltas().map(move |(delta, tokens)| Chunk {
            value: json!({ "type": "content_block_delta", "index": index, "delta": delta }),
            tokens,
        });
        let stop = Chunk { value: json!({ "type": "content_block_stop", "index": index }), tokens: 0 };
        std::iter::once(Chunk { value: start, tokens }).chain(ping).chain(deltas).chain(std::iter::once(stop))
    }
}

fn blocks(answer: &Answer) -> impl Iterator<Item = Block<'_>> {
    let thinking = (!answer.reasoning.is_empty()).then_some(Block::Thinking(&answer.reasoning));
    let text = (!answer.tokens.is_empty()).then_some(Block::Text(&answer.tokens));
    thinking.into_iter().chain(text).chain(answer.tool_calls.iter().map(Block::ToolUse))
}

fn envelope(reply: &Reply) -> Value {
    json!({
        "id": format!("msg_{}", reply.id),
        "type": "message",
        "role": "assistant",
        "model": reply.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
    })
}

fn message_delta(answer: &Answer, reply: &Reply) -> Value {
    let mut delta = json!({});
    stop(&mut delta, &answer.ending);
    let mut event = json!({ "type": "message_delta", "delta": delta });
    if let Some(used) = &reply.usage {
        event["usage"] = usage(used, used.completion);
    }
    event
}

/// Writes why it ends into a message or its delta.
fn stop(value: &mut Value, ending: &Ending) {
    let (reason, sequence) = match ending {
        Ending::Stop => ("end_turn", None),
        Ending::Sequence(sequence) => ("stop_sequence", Some(sequence)),
        Ending::Length => ("max_tokens", None),
        Ending::ToolCalls => ("tool_use", None),
        Ending::Refused => ("refusal", None),
    };
    value["stop_reason"] = json!(reason);
    value["stop_sequence"] = json!(sequence);
    if *ending == Ending::Refused {
        value["stop_details"] = json!({ "type": "refusal", "category": null, "explanation": null });
    }
}

/// Tokens read from a cache are not counted among the input's.
fn usage(usage: &Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.prompt - usage.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "output_tokens": output,
        "output_tokens_details": { "thinking_tokens": usage.reasoning },
    })
}

/// The usage of a message, which says more than that of its delta.
fn first_usage(used: &Usage, output: u64) -> Value {
    let mut usage = usage(used, output);
    usage["cache_creation"] = json!({ "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 });
    usage["service_tier"] = json!("standard");
    usage
}

/// Looks like a signature, and depends only on what was thought.
fn signature(thought: &[String]) -> String {
    use base64::Engine;
    let hash = xxhash_rust::xxh3::xxh3_128(thought.concat().as_bytes());
    base64::prelude::BASE64_STANDARD.encode(hash.to_le_bytes())
}

fn call_id(call: &ToolCall) -> String {
    format!("toolu_{}", call.id)
}
