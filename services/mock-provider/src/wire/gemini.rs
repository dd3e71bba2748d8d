//! Gemini's wire: `generateContent` and its two streams. Source: Google's Gemini API reference, "Generating content".
//!
//! A stream has no end mark of its own: it is complete when a chunk has a `finishReason`. The usage of a chunk counts
//! everything up to it.

mod embedding;
mod error;
mod request;

use bytes::Bytes;
use serde_json::{Value, json};
use vx11_chassis::sse;

pub(crate) use embedding::{BatchEmbedRequest, EmbedRequest, batch, one};
pub(crate) use error::error;
pub(crate) use request::{CountRequest, GenerateRequest};

use super::{Chunk, Renderer, Wire};
use crate::domain::answer::{Answer, Ending};
use crate::domain::reply::{Reply, Usage};
use crate::domain::tools::ToolCall;

/// Writes Gemini's wire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gemini {
    /// Whether a stream is server-sent events; else it is the elements of one JSON array.
    pub(crate) is_sse: bool,
    /// Whether what was thought is shown; it is counted in any case.
    pub(crate) shows_thoughts: bool,
}

impl Renderer for Gemini {
    const WIRE: Wire = Wire::Gemini;

    fn whole(&self, reply: &Reply) -> Value {
        let candidates = reply.answers.iter().enumerate();
        let candidates = candidates.map(|(index, answer)| {
            let parts: Vec<Value> = self.parts(answer).collect();
            let mut candidate = candidate(index, &parts);
            finish(&mut candidate, &answer.ending);
            candidate
        });
        self.response(reply, candidates.collect(), reply.usage.as_ref())
    }

    fn chunks<'r>(&'r self, reply: &'r Reply) -> impl Iterator<Item = Chunk> + 'r {
        let answers = reply.answers.iter().enumerate();
        let parts = answers.flat_map(|(index, answer)| self.streamed(answer).map(move |part| (index, part)));
        let spent = reply.usage.map(|usage| Usage { completion: 0, reasoning: 0, ..usage });
        parts.scan(spent, move |spent, (index, (part, tokens, thought))| {
            if let Some(spent) = spent {
                spent.completion += tokens;
                spent.reasoning += thought;
            }
            let value = self.response(reply, vec![candidate(index, &[part])], spent.as_ref());
            Some(Chunk { value, tokens })
        })
    }

    fn end(&self, reply: &Reply) -> Bytes {
        let candidates = reply.answers.iter().enumerate().map(|(index, answer)| {
            let mut candidate = candidate(index, &[text("")]);
            finish(&mut candidate, &answer.ending);
            candidate
        });
        let last = self.response(reply, candidates.collect(), reply.usage.as_ref());
        let is_first = reply.answers.iter().all(|answer| answer.completion_tokens() == 0);
        let written = self.write(&last, is_first);
        if self.is_sse { written } else { Bytes::from([&written[..], b"]"].concat()) }
    }

    fn write(&self, chunk: &Value, is_first: bool) -> Bytes {
        if self.is_sse {
            return Bytes::from(format!("data: {chunk}\r\n\r\n"));
        }
        let before = if is_first { "[" } else { ",\r\n" };
        // Nothing comes after an error.
        let after = if chunk.get("error").is_some() { "]" } else { "" };
        Bytes::from(format!("{before}{chunk}{after}"))
    }

    fn malformed(&self) -> Bytes {
        Bytes::from_static(if self.is_sse {
            b"data: {\"candidates\": [{\"con\r\n\r\n"
        } else {
            b",\r\n{\"candidates\": [{\"con"
        })
    }

    fn stream_type(&self) -> &'static str {
        if self.is_sse { sse::CONTENT_TYPE } else { "application/json; charset=UTF-8" }
    }
}

impl Gemini {
    /// The parts of a whole answer.
    fn parts<'r>(&self, answer: &'r Answer) -> impl Iterator<Item = Value> + 'r {
        let shown = self.shows_thoughts && !answer.reasoning.is_empty();
        let thought = shown.then(|| thought(&answer.reasoning.concat()));
        let said = (!answer.tokens.is_empty()).then(|| text(&answer.text()));
        thought.into_iter().chain(said).chain(answer.tool_calls.iter().map(call))
    }

    /// The parts of a streamed answer, each with its tokens and how many of them were thought.
    fn streamed<'r>(&'r self, answer: &'r Answer) -> impl Iterator<Item = (Value, u64, u64)> + 'r {
        let hidden = answer.reasoning.len() as u64;
        let hidden = (hidden > 0 && !self.shows_thoughts).then(|| (text(""), hidden, hidden));
        let shown = answer.reasoning.iter().filter(|_| self.shows_thoughts);
        let shown = shown.map(|token| (thought(token), 1, 1));
        let said = answer.tokens.iter().map(|token| (text(token), 1, 0));
        let calls = answer.tool_calls.iter().map(|asked| (call(asked), asked.tokens(), 0));
        hidden.into_iter().chain(shown).chain(said).chain(calls)
    }

    fn response(&self, reply: &Reply, candidates: Vec<Value>, used: Option<&Usage>) -> Value {
        let mut response = json!({ "modelVersion": reply.model, "responseId": reply.id });
        if candidates.is_empty() {
            response["promptFeedback"] = json!({ "blockReason": "SAFETY" });
        } else {
            response["candidates"] = json!(candidates);
        }
        if let Some(used) = used {
            response["usageMetadata"] = usage(used);
        }
        response
    }
}

fn candidate(index: usize, parts: &[Value]) -> Value {
    let mut content = json!({ "role": "model" });
    if !parts.is_empty() {
        content["parts"] = json!(parts);
    }
    json!({ "content": content, "index": index })
}

/// Writes why it ends into a candidate.
fn finish(candidate: &mut Value, ending: &Ending) {
    let reason = match ending {
        Ending::Stop | Ending::Sequence(_) | Ending::ToolCalls => "STOP",
        Ending::Length => "MAX_TOKENS",
        Ending::Refused => "SAFETY",
    };
    candidate["finishReason"] = json!(reason);
    if *ending == Ending::Refused {
        candidate["content"] = json!({});
        candidate["safetyRatings"] =
            json!([{ "category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": true }]);
    }
}

fn text(text: &str) -> Value {
    json!({ "text": text })
}

fn thought(text: &str) -> Value {
    json!({ "text": text, "thought": true })
}

fn call(call: &ToolCall) -> Value {
    json!({ "functionCall": { "name": call.name, "args": call.arguments } })
}

/// What was thought is not counted among the candidates' tokens.
fn usage(usage: &Usage) -> Value {
    let mut metadata = json!({
        "promptTokenCount": usage.prompt,
        "candidatesTokenCount": usage.completion - usage.reasoning,
        "totalTokenCount": usage.prompt + usage.completion,
        "promptTokensDetails": [{ "modality": "TEXT", "tokenCount": usage.prompt }],
    });
    if usage.reasoning > 0 {
        metadata["thoughtsTokenCount"] = json!(usage.reasoning);
    }
    if usage.cached > 0 {
        metadata["cachedContentTokenCount"] = json!(usage.cached);
        metadata["cacheTokensDetails"] = json!([{ "modality": "TEXT", "tokenCount": usage.cached }]);
    }
    metadata
}
