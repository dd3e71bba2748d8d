//! For providers that speak Anthropic's wire: requests go there out of the pivot, answers come back into it.

mod answer;
mod answer_tool;
mod generation;
mod messages;
mod parts;
mod recursion;
mod request;
mod schema;
mod stream;
mod thinking;
mod tools;

pub(crate) use super::error::to_openai as error;
pub(crate) use answer::answer;
pub(crate) use request::request;
pub(crate) use stream::Stream;
