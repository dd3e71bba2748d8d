//! A request of a caller's wire as bytes: what routing needs of it is read, the rest is passed on as it came.
//!
//! For a target of the same wire two changes are ever made: the model's name, where it is known there by another one,
//! and the wish of a stream to report its usage, where the caller has none. Their values are cut out of the bytes and
//! replaced, so that number formats, key order and unknown fields arrive as the caller wrote them.

mod peek;
mod stream_options;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};
use vx11_contracts::switch::Message;

use super::edit::{Edit, edited, span_of};
use super::operation::Operation;
use super::text_completion;
use crate::wire::Wire;
use peek::{Answers, Peek};
use stream_options::UsageWish;

/// Most bytes of a model's name: it is kept in the ledger, whoever has thought of it.
pub(crate) const MAX_MODEL: usize = 256;

/// A request that can be routed.
#[derive(Clone, Debug)]
pub(crate) struct ChatRequest {
    /// The wire that the body is in, and that its caller wants to be answered in.
    pub(crate) wire: Wire,
    /// Headers that belong to that wire, for a provider that speaks it too.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// What is asked for.
    pub(crate) operation: Operation,
    /// Whether the body is the gateway's own wording of what its caller has asked in other words of OpenAI's.
    is_reworded: bool,
    body: Bytes,
    /// The tokens in the body, about, once somebody has counted them.
    prompt_tokens: OnceLock<u64>,
    /// Where the model's value stands in the body, quotes included.
    span: Range<usize>,
    /// Where `user` stands; it is read only for routes that ask for it.
    user: Option<Range<usize>>,
    /// What the caller tags the request with, as it wrote that; it is read as seldom.
    metadata: Option<Bytes>,
    /// The model that was asked for; empty where the gateway is to choose.
    pub(crate) model: String,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
    /// How many choices were asked for.
    pub(crate) choices: u32,
    /// How many are written for that: more, where the best of them are handed out.
    pub(crate) candidates: u32,
    usage: UsageWish,
    /// The same as chat, for providers without text completions or Responses; or why it cannot be that.
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
        /// Its name, or its path, such as `input[2].type`.
        name: Cow<'static, str>,
        /// What would be right.
        problem: String,
    },
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

    /// Reads what routing needs of a request for a response, which is the same `as_chat`. Nearly all of it is the
    /// provider's to judge.
    pub(super) fn read_responses(body: Bytes, as_chat: Result<Box<Self>, BadRequest>) -> Result<Self, BadRequest> {
        Ok(Self { as_chat: Some(as_chat), ..Self::read_as(Wire::Responses, Operation::Chat, body)? })
    }

    /// Reads a chat completion that the gateway has made of another request of OpenAI's.
    pub(super) fn read_reworded(body: Bytes) -> Result<Self, BadRequest> {
        Ok(Self { is_reworded: true, ..Self::read(body)? })
    }

    /// The same request with another body of the same wire.
    pub(super) fn with_body(&self, body: Bytes) -> Result<Self, BadRequest> {
        let (headers, is_reworded) = (self.headers.clone(), self.is_reworded);
        Ok(Self { headers, is_reworded, ..Self::read_as(self.wire, self.operation, body)? })
    }

    fn read_as(wire: Wire, operation: Operation, body: Bytes) -> Result<Self, BadRequest> {
        let text = std::str::from_utf8(&body)
            .map_err(|error| BadRequest::Malformed(format!("the body is not UTF-8: {error}")))?;
        let peek = Peek::at(text, wire)?;
        let (raw_model, model) = peek.model()?;
        if wire != Wire::Responses {
            peek.check_content(operation)?;
        }
        let span = span_of(text, raw_model.get());
        let user = peek.user.map(|raw| span_of(text, raw.get()));
        let metadata = peek.metadata.map(|raw| body.slice(span_of(text, raw.get())));
        let answers = match operation {
            // Nothing is written.
            Operation::Embeddings => {
                Answers { stream: false, choices: 1, candidates: 1, usage: UsageWish::default(), max_output: Some(0) }
            }
            Operation::Chat | Operation::TextCompletion => peek.answers(text, span.end)?,
        };
        let Answers { stream, mut choices, mut candidates, mut usage, max_output } = answers;
        if matches!(wire, Wire::Anthropic | Wire::Responses) {
            // A stream of these wires always says what it spent.
            usage = UsageWish { asked: true, edit: None };
        }
        let mut as_chat = None;
        if operation == Operation::TextCompletion {
            let prompts = peek.prompt.map_or(1, |prompt| text_completion::prompts(prompt.get()));
            (choices, candidates) = (choices.saturating_mul(prompts), candidates.saturating_mul(prompts));
            as_chat = Some(text_completion::as_chat(&body).and_then(Self::read_reworded).map(Box::new));
        }
        let headers = Vec::new();
        Ok(Self {
            wire,
            headers,
            operation,
            is_reworded: false,
            span,
            user,
            metadata,
            model,
            stream,
            choices,
            candidates,
            usage,
            max_output,
            as_chat,
            body,
            prompt_tokens: OnceLock::new(),
        })
    }

    /// The same as chat, where it is not that already and can be.
    pub(crate) fn into_chat(self) -> Self {
        match self.as_chat {
            Some(Ok(chat)) => Self { model: self.model, ..*chat },
            _ => self,
        }
    }

    /// Whether it leans on what a provider keeps or does by itself, so that it cannot be asked as a chat.
    pub(crate) fn is_beyond_chat(&self) -> bool {
        self.wire == Wire::Responses && matches!(self.as_chat, Some(Err(_)))
    }

    /// Whether a provider of OpenAI's wire gets words of the gateway's, not of the caller's.
    pub(crate) fn is_translated(&self) -> bool {
        self.is_reworded || self.wire != Wire::OpenAi
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
            is_reworded: false,
            body: body.into(),
            prompt_tokens: OnceLock::new(),
            span: MODEL_AT..MODEL_AT + 2,
            user: None,
            metadata: None,
            model: model.to_owned(),
            stream,
            choices: 1,
            candidates: 1,
            usage: UsageWish { asked: true, edit: None },
            max_output: None,
            as_chat: None,
        })
    }

    /// Whether the caller wants a stream's usage as its last chunk.
    pub(crate) fn wants_usage(&self) -> bool {
        self.usage.asked
    }

    /// The tokens in the body, about: who counts them first keeps them here for others.
    pub(crate) fn prompt_tokens(&self) -> &OnceLock<u64> {
        &self.prompt_tokens
    }

    /// How many bytes it has.
    pub(crate) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// For whom the caller asks, where it says so: OpenAI's `user`, Anthropic's `metadata.user_id`.
    pub(crate) fn user(&self) -> Option<String> {
        match self.wire {
            Wire::Anthropic => self.tags().get("user_id"),
            Wire::OpenAi | Wire::Gemini | Wire::Responses => {
                serde_json::from_slice(&self.body[self.user.clone()?]).ok()
            }
        }
    }

    /// The entries of `metadata`.
    pub(crate) fn tags(&self) -> Tags<'_> {
        Tags { metadata: self.metadata.as_deref(), read: OnceCell::new() }
    }

    /// The body for a target that knows the model as `model`.
    pub(crate) fn body_for(&self, model: &str) -> Bytes {
        self.edited(model, None)
    }

    /// The same, with the wish that a stream report its usage, whether the caller has it or not.
    pub(crate) fn body_asking_usage(&self, model: &str) -> Bytes {
        self.edited(model, self.usage.edit.as_ref())
    }

    fn edited(&self, model: &str, usage: Option<&Edit>) -> Bytes {
        let Ok(name) = serde_json::to_string(model) else { return self.body.clone() };
        let is_renamed = self.body[self.span.clone()] != *name.as_bytes();
        let rename = is_renamed.then(|| Edit { span: self.span.clone(), text: name });
        edited(&self.body, [rename.as_ref(), usage])
    }
}

/// What a caller tags its request with. It is read when it is first asked for.
#[derive(Debug)]
pub(crate) struct Tags<'a> {
    metadata: Option<&'a [u8]>,
    read: OnceCell<Map<String, Value>>,
}

impl Tags<'_> {
    /// The entry of this name, where it is a text.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let metadata = self.metadata?;
        let read = self.read.get_or_init(|| serde_json::from_slice(metadata).unwrap_or_default());
        read.get(name)?.as_str().map(str::to_owned)
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

#[cfg(test)]
mod tests;
