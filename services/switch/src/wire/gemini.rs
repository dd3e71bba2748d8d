//! Gemini's `generateContent`, for providers that speak it: requests go there out of the pivot, answers come back into
//! it.
//!
//! Source: Google's API reference, "Generating content", "Function calling", "Thinking" and "Embeddings".

mod answer;
mod contents;
mod counted;
pub(crate) mod embeddings;
mod ended;
mod error;
mod parts;
mod request;
mod stream;
mod thinking;

pub(crate) use answer::answer;
pub(crate) use error::error;
pub(crate) use request::request;
pub(crate) use stream::Stream;
