//! OpenAI's Responses (`/v1/responses`), and the same as chat for providers that have only that: the request becomes a
//! chat completion, and its answer, whole or streamed, becomes a response.
//!
//! Nothing is stored here, so everything that refers to what was said before has no words in a chat, and neither have
//! the tools that OpenAI runs itself: they are refused by name where no provider speaks Responses. Fields that mean the
//! same in both pass as they are, and so do unknown ones.
//!
//! Source: OpenAI's API reference, "Responses".

mod builder;
mod chunk;
mod event;
mod input;
mod item;
mod kept;
mod output;
mod passed;
mod request;
mod response;
mod tools;

pub(crate) use builder::Builder;
pub(crate) use event::Event;
pub(crate) use passed::Passed;
pub(crate) use request::ResponsesRequest;

use super::request::BadRequest;

/// Why a request cannot be answered by a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unacceptable {
    /// The offending field, such as `input[2].type`; `None` where the body is no JSON object.
    param: Option<String>,
    /// What would be right.
    problem: String,
}

impl Unacceptable {
    fn new(param: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { param: Some(param.into()), problem: problem.into() }
    }
}

impl From<Unacceptable> for BadRequest {
    fn from(Unacceptable { param, problem }: Unacceptable) -> Self {
        match param {
            Some(name) => Self::Field { name: name.into(), problem },
            None => Self::Malformed(problem),
        }
    }
}
