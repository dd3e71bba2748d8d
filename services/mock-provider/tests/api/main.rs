//! The mock provider over real sockets: what it answers, and every fault that `docs/mock-provider.md` lists.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod mock;
mod wire;

mod admin;
mod answers;
mod anthropic;
mod asking;
mod azure;
mod embeddings;
mod faults_before;
mod faults_within;
mod gemini;
mod log;
mod models;
mod refusals;
mod responses;
mod streams;
mod tools;
mod triggers;
mod wires;
