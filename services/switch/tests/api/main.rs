//! The gateway over real sockets, in front of providers that misbehave to the byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod app;
mod fake;

mod accounts;
mod admission;
mod beginnings;
mod breaker;
mod cache;
mod cancel;
mod chat;
mod completions;
mod completions_stream;
mod counted;
mod deadline;
mod embeddings;
mod holds;
mod keys;
mod kinds;
mod kinds_rescue;
mod kinds_terms;
mod limits;
mod maintenance;
mod matrix;
mod messages;
mod models;
mod passing;
mod redis;
mod reload;
mod replicas;
mod rescue;
mod rescue_texts;
mod responses;
mod responses_forwarded;
mod responses_passed;
mod responses_rescue;
mod retries;
mod routing;
mod secrets;
mod text_completions;
mod turns;
mod unreported;
mod wordings;
