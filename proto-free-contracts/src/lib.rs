//! Every body, header and error code that crosses a VX11 process boundary.
//!
//! Types here are plain data with their validation and their OpenAPI schema. This crate does no I/O, reads no clock
//! beyond stamping an answer, and depends on no other VX11 crate, so a client written in Rust can depend on it alone.
//!
//! Requests from outside reject unknown fields, because a misspelt optional field would otherwise be dropped in
//! silence. Bodies that only VX11's own services exchange accept them, so that a newer service can talk to an older one
//! during a rolling upgrade.

pub mod anthropic;
pub mod audit;
pub mod chat;
pub mod error;
pub mod event;
pub mod headers;
pub mod health;
pub mod identity;
pub mod intervention;
pub mod madre;
pub mod maintenance;
pub mod openai;
pub mod operator;
pub mod power;
pub mod sse;
pub mod switch;
pub mod time;
pub mod unit;

pub use error::{ErrorBody, ErrorCode};
