//! The wires that are spoken. Each reads its requests into the same [`Asked`], writes the same
//! [`Reply`] in its own shape, and has its own errors; none decides what is answered.

pub(crate) mod anthropic;
pub(crate) mod gemini;
pub(crate) mod openai;
mod refusal;
pub(crate) mod responses;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use bytes::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use vx11_chassis::sse;

pub(crate) use refusal::Refusal;

use crate::domain::conversation::Conversation;
use crate::domain::reply::Reply;

/// Which wire a request came over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    OpenAi,
    Anthropic,
    Gemini,
    /// OpenAI's newer one.
    Responses,
}

/// A request, read.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// A model, with faults behind a `+`.
    pub(crate) model: String,
    pub(crate) conversation: Conversation,
    pub(crate) stream: bool,
    /// How many answers.
    pub(crate) choices: u32,
}

/// How a wire writes replies.
pub(crate) trait Renderer: 'static {
    const WIRE: Wire;

    /// A reply that is not streamed.
    fn whole(&self, reply: &Reply) -> Value;

    /// The chunks of a streamed reply but for its end, in order; each is made when its turn has come.
    fn chunks<'r>(&'r self, reply: &'r Reply) -> impl Iterator<Item = Chunk> + 'r;

    /// What tells that a streamed reply is complete.
    fn end(&self, reply: &Reply) -> Bytes;

    /// A chunk as bytes; `is_first` where nothing was written before it.
    fn write(&self, chunk: &Value, is_first: bool) -> Bytes;

    /// A chunk that breaks off in the middle of its JSON.
    fn malformed(&self) -> Bytes;

    /// The content type of a stream.
    fn stream_type(&self) -> &'static str {
        sse::CONTENT_TYPE
    }
}

/// Part of a streamed reply, and how many tokens it carries.
#[derive(Clone, Debug)]
pub(crate) struct Chunk {
    pub(crate) value: Value,
    pub(crate) tokens: u64,
}

impl Wire {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Responses => "responses",
        }
    }

    /// The caller's key, where it is looked for on this wire.
    pub(crate) fn key(self, http: &HttpRequest) -> Option<&str> {
        let header = |name: &str| http.headers().get(name).and_then(|value| value.to_str().ok());
        match self {
            Self::OpenAi | Self::Responses => header(AUTHORIZATION.as_str())?.strip_prefix("Bearer "),
            Self::Anthropic => header("x-api-key"),
            Self::Gemini => header("x-goog-api-key")
                .or_else(|| http.query_string().split('&').find_map(|pair| pair.strip_prefix("key="))),
        }
    }
}

/// Libraries write out a field that was not given as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}
