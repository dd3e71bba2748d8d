//! OpenAI's Responses (`/v1/responses`) as chat: the request becomes a chat completion, and its answer, whole or streamed,
//! becomes a response.
//!
//! Nothing is stored, so everything that refers to what was said before is refused by name, and so are the tools that
//! OpenAI runs itself. Fields that mean the same in both pass as they are, and so do unknown ones.
//!
//! Source: OpenAI's API reference, "Responses".

mod builder;
mod chunk;
mod event;
mod input;
mod item;
mod output;
mod request;
mod response;
mod tools;

pub(crate) use builder::Builder;
pub(crate) use event::Event;
pub(crate) use request::ResponsesRequest;

/// Why a request cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unacceptable {
    /// The offending field, such as `input[2].type`; `None` where the body is no JSON object.
    pub(crate) param: Option<String>,
    /// What would be right.
    pub(crate) problem: String,
}

impl Unacceptable {
    fn new(param: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { param: Some(param.into()), problem: problem.into() }
    }
}
