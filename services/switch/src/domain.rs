//! The gateway's rules on plain data: where a model name leads, what a provider's answer means, when to ask the next.
//!
//! Nothing here knows HTTP, a connection or a metric.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod delta;
pub(crate) mod failover;
pub(crate) mod manners;
pub(crate) mod operation;
pub(crate) mod outcome;
pub(crate) mod request;
pub(crate) mod responses;
pub(crate) mod routing;
mod stream_options;
pub(crate) mod text_completion;
