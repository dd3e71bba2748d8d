//! OpenAI's Responses as providers answer with them: read into the pivot to be watched, while callers get them as they
//! came.
//!
//! Requests are never written in this wire. A response is asked for in its caller's own words, or a chat in its place.
//!
//! Source: OpenAI's API reference, "Responses".

mod answer;
mod counted;
mod ended;
mod stream;

pub(super) use answer::answer;
pub(crate) use stream::Stream;
