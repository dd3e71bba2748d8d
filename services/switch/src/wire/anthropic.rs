//! Anthropic's Messages wire: `outbound` for providers that speak it, `inbound` for callers that do.
//!
//! Source: Anthropic's API reference, "Messages", "Streaming Messages" and "Errors".

mod counted;
mod error;
pub(crate) mod inbound;
pub(crate) mod outbound;
mod stop;
