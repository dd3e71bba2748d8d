//! For callers that speak Anthropic's wire: their requests go into the pivot, answers come to them out of it.

mod answer;
mod messages;
mod reasoning;
mod request;
mod schema;
mod stream;

pub(crate) use super::error::to_anthropic as error;
pub(crate) use answer::{answer, with_usage};
pub(crate) use request::request;
pub(crate) use stream::Stream;
