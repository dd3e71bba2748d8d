//! The gateway's rules on plain data: where a model name leads, what a provider's answer means, when to ask the next.
//!
//! Nothing here knows HTTP, a connection or a metric.

pub(crate) mod answer;
pub(crate) mod chunk;
pub(crate) mod delta;
pub(crate) mod estimate;
pub(crate) mod failover;
pub(crate) mod outcome;
pub(crate) mod request;
pub(crate) mod routing;
