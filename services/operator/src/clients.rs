//! The services that operator calls, in operator's own words, and whom it trusts elsewhere.

mod call_headers;
mod certificates;
pub(crate) mod health_gate;
mod limit;
pub(crate) mod madre;
pub(crate) mod switch;

pub(crate) use call_headers::CallHeaders;
pub(crate) use certificates::system_certificates;
pub(crate) use health_gate::HealthGate;
pub(crate) use limit::Limit;
pub(crate) use madre::{Madre, MadreError};
pub(crate) use switch::Switch;
