//! OpenAI's wire: `chat.completion` and its chunks. Source: OpenAI's API reference, "Chat".

mod error;
mod request;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use vx11_chassis::sse;

pub(crate) use error::error;
pub(crate) use request::ChatRequest;

use super::{Chunk, Renderer, Wire};
use crate::domain::answer::{Answer, Ending};
use crate::domain::reply::{Reply, Usage};
use crate::domain::tokens;
use crate::domain::tools::ToolCall;

/// Writes OpenAI's wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenAi {
    /// Whether a stream ends with a chunk that has the usage.
    pub(crate) include_usage: bool,
    /// Whether a stream begins with what Azure says of the prompt, in a chunk that has neither a choice nor a name.
    pub(crate) at_azure: bool,
}

impl Renderer for OpenAi {
    const WIRE: Wire = Wire::OpenAi;

    fn whole(&self, reply: &Reply) -> Value {
        let choices = reply.answers.iter().enumerate();
        let choices: Vec<Value> = choices
            .map(|(index, answer)| {
                json!({ "index": index, "message": message(answer), "logprobs": null,
                    "finish_reason": finish_reason(&answer.ending) })
            })
            .collect();
        let mut whole = envelope(reply, "chat.completion");
        whole["choices"] = json!(choices);
        if let Some(used) = &reply.usage {
            whole["usage"] = usage(used);
        }
        whole
    }

    fn chunks<'r>(&'r self, reply: &'r Reply) -> impl Iterator<Item = Chunk> + 'r {
        let last = reply.usage.iter().filter(|_| self.include_usage).map(|used| {
            let mut value = envelope(reply, "chat.completion.chunk");
            value["choices"] = json!([]);
            value["usage"] = usage(used);
            Chunk { value, tokens: 0 }
        });
        let answers = reply.answers.iter().enumerate();
        let first = self.at_azure.then(|| Chunk { value: of_the_prompt(), tokens: 0 });
        first.into_iter().chain(answers.flat_map(|(index, answer)| self.chunks_of(reply, index, answer))).chain(last)
    }

    fn end(&self, _: &Reply) -> Bytes {
        Bytes::from_static(b"data: [DONE]\n\n")
    }

    fn write(&self, chunk: &Value, _: bool) -> Bytes {
        sse::event(None, None, chunk)
    }

    fn malformed(&self) -> Bytes {
        Bytes::from_static(b"data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\"del\n\n")
    }
}

impl OpenAi {
    fn chunks_of<'r>(&'r self, reply: &'r Reply, index: usize, answer: &'r Answer) -> impl Iterator<Item = Chunk> + 'r {
        let chunk = move |tokens, delta: Value, finish_reason: Option<&str>| {
            let mut value = envelope(reply, "chat.completion.chunk");
            value["choices"] =
                json!([{ "index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason }]);
            if self.include_usage && reply.usage.is_some() {
                value["usage"] = Value::Null;
            }
            Chunk { value, tokens }
        };
        let role = std::iter::once_with(move || chunk(0, json!({ "role": "assistant", "content": "" }), None));
        let reasoning = answer.reasoning.iter().map(move |token| chunk(1, json!({ "reasoning_content": token }), None));
        let text = answer.tokens.iter().map(move |token| chunk(1, json!({ "content": token }), None));
        let calls = answer.tool_calls.iter().enumerate();
        let calls = calls.flat_map(|(at, call)| deltas(at, call));
        let calls = calls.map(move |(tokens, call)| chunk(tokens, json!({ "tool_calls": [call] }), None));
        let end = std::iter::once_with(move || chunk(0, json!({}), Some(finish_reason(&answer.ending))));
        role.chain(reasoning).chain(text).chain(calls).chain(end)
    }
}

/// A call, piece by piece, each with its tokens.
fn deltas(at: usize, call: &ToolCall) -> impl Iterator<Item = (u64, Value)> {
    let head = json!({ "index": at, "id": call_id(call), "type": "function",
        "function": { "name": call.name, "arguments": "" } });
    let head = (tokens::count(&call.name), head);
    let arguments = call.arguments.to_string();
    let parts: Vec<(u64, Value)> =
        tokens::split(&arguments).map(|part| (1, json!({ "index": at, "function": { "arguments": part } }))).collect();
    std::iter::once(head).chain(parts)
}

/// What Azure's filter says of the prompt.
fn of_the_prompt() -> Value {
    let kinds = ["hate", "self_harm", "sexual", "violence"];
    let safe = kinds.into_iter().map(|kind| (kind.to_owned(), json!({ "filtered": false, "severity": "safe" })));
    let safe: Map<String, Value> = safe.collect();
    let of_prompt = json!([{ "prompt_index": 0, "content_filter_results": safe }]);
    json!({ "choices": [], "created": 0, "id": "", "model": "", "object": "", "prompt_filter_results": of_prompt })
}

fn envelope(reply: &Reply, object: &str) -> Value {
    json!({
        "id": format!("chatcmpl-{}", reply.id),
        "object": object,
        "created": reply.created,
        "model": reply.model,
        "system_fingerprint": "fp_mock",
    })
}

fn message(answer: &Answer) -> Value {
    let mut message = json!({ "role": "assistant", "content": answer.text() });
    if !answer.reasoning.is_empty() {
        message["reasoning_content"] = json!(answer.reasoning.concat());
    }
    if !answer.tool_calls.is_empty() {
        message["content"] = Value::Null;
        let call = |call: &ToolCall| {
            json!({ "id": call_id(call), "type": "function",
                "function": { "name": call.name, "arguments": call.arguments.to_string() } })
        };
        message["tool_calls"] = answer.tool_calls.iter().map(call).collect();
    }
    message
}

fn call_id(call: &ToolCall) -> String {
    format!("call_{}", call.id)
}

fn finish_reason(ending: &Ending) -> &'static str {
    match ending {
        Ending::Stop | Ending::Sequence(_) => "stop",
        Ending::Length => "length",
        Ending::ToolCalls => "tool_calls",
        Ending::Refused => "content_filter",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": { "cached_tokens": usage.cached },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning },
    })
}
