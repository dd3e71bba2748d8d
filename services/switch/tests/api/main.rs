//! The gateway over real sockets, in front of providers that misbehave to the byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod app;
mod fake;

mod breaker;
mod cancel;
mod chat;
mod completions;
mod completions_stream;
mod kinds;
mod messages;
mod mock;
mod models;
mod secrets;
