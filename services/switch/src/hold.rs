//! Held requests between the gateway and the operator: an intervention is opened, waited for, and its approval taken.
//!
//! A held request has nothing but its place among those that wait: no provider's permit, no reservation on a budget.
//! While the operator does not answer, nothing is let through.

mod desk;
mod metrics;
mod ticket;

pub(crate) use desk::{Desk, Place, Refused};
pub(crate) use metrics::{Ended, HoldMetrics};
pub(crate) use ticket::{Decided, Question, Ticket};
