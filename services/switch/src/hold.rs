//! Held requests between the gateway and the operator: an intervention is opened, waited for, and its approval taken.
//!
//! A held request has nothing but its place among those that wait, and its body as it came: no provider's permit, no
//! reservation on a budget.
//! While the operator does not answer, nothing is let through.

mod approval;
mod desk;
mod metrics;
mod places;
mod ticket;

pub(crate) use approval::{Approval, Untaken};
pub(crate) use desk::{Desk, Refused};
pub(crate) use metrics::{Ended, HoldMetrics};
pub(crate) use places::Place;
pub(crate) use ticket::{Decided, Question, Ticket};
