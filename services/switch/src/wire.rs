//! The wires that callers and providers speak, and the translations between them.
//!
//! OpenAI's chat wire is the pivot: every other one is translated to it or from it, never to a third. All here is pure:
//! values in, values out, no clock and no connection. What one wire says and the other has no word for is dropped where
//! it only tunes an answer, and refused with the field's name where the answer would not be what was asked for.

pub(crate) mod anthropic;
mod data_url;
mod dialect;
mod failure;
pub(crate) mod gemini;
mod json;
mod openai;
#[cfg(test)]
mod properties;
mod responses;
pub(crate) mod signed_id;
mod turns;

use bytes::Bytes;
use serde_json::{Value, json};

pub(crate) use dialect::Dialect;
pub(crate) use failure::{ProviderError, in_stream};
pub(crate) use openai::Piece;

use crate::accounts::{SoFar, Tokens};

/// A way to put chat into JSON over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// OpenAI's chat completions: the pivot.
    OpenAi,
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's `generateContent`; spoken by providers only.
    Gemini,
    /// OpenAI's Responses. Providers that speak it are asked in the caller's own words, others for a chat in its place.
    Responses,
}

/// A field of a request has no counterpart in the other wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Untranslatable {
    /// Its path, such as `messages[2].content[0].type`.
    pub(crate) field: String,
    /// What stands in the way.
    pub(crate) problem: String,
}

/// What came is not what the wire it came in allows, or it reports an error where an answer should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// What a provider needs that a request may leave out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Defaults {
    /// Tokens that an answer may have, where the wire insists on a limit.
    pub(crate) max_tokens: u64,
    /// Whether a stream is asked for what it spends, where the wire does not say that by itself.
    pub(crate) stream_usage: bool,
}

impl Untranslatable {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }

    /// The same, seen from the object or list that holds `part`.
    fn within(self, part: &str) -> Self {
        let dot = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        Self { field: format!("{part}{dot}{}", self.field), ..self }
    }
}

/// Writes `body`, a request in the wire `from`, anew in the wire `to`, for a provider that knows the model as `model`.
pub(crate) fn translate_request(
    body: &[u8],
    (from, to): (Wire, Wire),
    model: &str,
    defaults: Defaults,
) -> Result<Bytes, Untranslatable> {
    let request: Value = serde_json::from_slice(body).map_err(|error| Untranslatable::new("", error.to_string()))?;
    let mut pivot = match from {
        Wire::Anthropic => anthropic::inbound::request(&request)?,
        Wire::OpenAi | Wire::Gemini | Wire::Responses => request,
    };
    let translated = match to {
        Wire::OpenAi => {
            pivot["model"] = model.into();
            if defaults.stream_usage && pivot["stream"] == true {
                pivot["stream_options"] = json!({"include_usage": true});
            }
            pivot
        }
        Wire::Anthropic => anthropic::outbound::request(&pivot, model, defaults)?,
        Wire::Gemini => gemini::request(&pivot, model)?,
        Wire::Responses => {
            return Err(Untranslatable::new("", "a response is asked for in its caller's own words only"));
        }
    };
    Ok(translated.to_string().into())
}

/// A provider's whole answer as a chat completion, made at `created` (Unix seconds).
pub(crate) fn translate_answer(body: &[u8], from: Wire, created: u64) -> Result<Bytes, Malformed> {
    let answer: Value = serde_json::from_slice(body).map_err(|_| Malformed)?;
    let completion = match from {
        Wire::OpenAi => answer,
        Wire::Anthropic => anthropic::outbound::answer(&answer, created)?,
        Wire::Gemini => gemini::answer(&answer, created)?,
        Wire::Responses => responses::answer(&answer)?,
    };
    Ok(completion.to_string().into())
}

/// The `usage` in the pivot of an answer on which several calls have spent `tokens` together.
pub(crate) fn usage(tokens: Tokens) -> Value {
    openai::Usage::sum(tokens).write()
}

/// A provider's error answer in OpenAI's shape.
pub(crate) fn translate_error(status: u16, body: &[u8], from: Wire) -> ProviderError {
    match from {
        Wire::OpenAi | Wire::Responses => failure::of_openais_wire(status, body),
        Wire::Anthropic => anthropic::outbound::error(status, body),
        Wire::Gemini => gemini::error(status, body),
    }
}

/// A provider's stream on its way into the pivot.
#[derive(Debug)]
pub(crate) enum StreamTranslator {
    /// From Anthropic's events.
    Anthropic(anthropic::outbound::Stream),
    /// From Gemini's partial answers.
    Gemini(gemini::Stream),
    /// From a response's events.
    Responses(responses::Stream),
}

impl StreamTranslator {
    /// For a stream in the wire `from` that began at `created` (Unix seconds); `None`: it is in the pivot already. What
    /// was spent comes in a chunk of its own.
    pub(crate) fn new(from: Wire, created: u64) -> Option<Self> {
        match from {
            Wire::OpenAi => None,
            Wire::Anthropic => Some(Self::Anthropic(anthropic::outbound::Stream::new(created))),
            Wire::Gemini => Some(Self::Gemini(gemini::Stream::new(created))),
            Wire::Responses => Some(Self::Responses(responses::Stream::default())),
        }
    }

    /// What the provider has said of its tokens so far, if anything; how the stream is billed should it break.
    pub(crate) fn so_far(&self) -> Option<SoFar> {
        match self {
            Self::Anthropic(stream) => stream.so_far(),
            Self::Gemini(stream) => stream.so_far(),
            // It is said at the end.
            Self::Responses(_) => None,
        }
    }

    /// What the payload of one event means in the pivot: nothing, or one chunk and more.
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<Vec<Piece>, Malformed> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(Vec::new());
        }
        let event: Value = serde_json::from_slice(data).map_err(|_| Malformed)?;
        match self {
            Self::Anthropic(stream) => stream.push(&event),
            Self::Gemini(stream) => stream.push(&event),
            Self::Responses(stream) => stream.push(&event),
        }
    }
}
