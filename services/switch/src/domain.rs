//! The gateway's rules on plain data: where a model name leads, what a provider's answer means, when to ask the next.
//!
//! Nothing here knows HTTP, a connection or a metric.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod continuation;
pub(crate) mod cost;
pub(crate) mod delivered;
pub(crate) mod delta;
mod edit;
pub(crate) mod ending;
pub(crate) mod failover;
pub(crate) mod fields;
pub(crate) mod halves;
pub(crate) mod hold;
pub(crate) mod json_text;
pub(crate) mod keys;
pub(crate) mod latency;
pub(crate) mod manners;
pub(crate) mod name_pattern;
pub(crate) mod operation;
pub(crate) mod outcome;
pub(crate) mod overlap;
pub(crate) mod rejection;
pub(crate) mod reported;
pub(crate) mod request;
pub(crate) mod responses;
pub(crate) mod retry;
pub(crate) mod rewrite;
pub(crate) mod routing;
pub(crate) mod splice;
pub(crate) mod strategy;
pub(crate) mod text_completion;
pub(crate) mod tools;
pub(crate) mod wishes;
pub(crate) mod written;
