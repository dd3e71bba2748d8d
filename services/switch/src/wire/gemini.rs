//! Gemini's `generateContent`, for providers that speak it: requests go there out of the pivot, answers come back into it.
//!
//! Source: Google's API reference, "Generating content", "Function calling" and "Thinking".

mod answer;
mod contents;
mod counted;
mod ended;
mod error;
mod parts;
mod request;
mod stream;

pub(crate) use answer::answer;
pub(crate) use error::error;
pub(crate) use request::request;
pub(crate) use stream::Stream;
