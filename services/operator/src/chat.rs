//! Chat: the one thing that must always answer.
//!
//! `flow` is the order of things for one request; the files beside it are its parts. Nothing here knows actix.

mod abandoned;
mod answer_cache;
mod asker;
mod engine;
mod flow;
mod record;
mod request;
mod stream;

pub(crate) use answer_cache::AnswerCache;
pub(crate) use asker::Asker;
pub(crate) use engine::{Answer, Engine, Question, Reply};
pub(crate) use flow::Chat;
pub(crate) use request::{Accepted, Limits, Provider};
pub(crate) use stream::{StreamLimits, frames};
