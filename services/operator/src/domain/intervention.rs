//! Interventions: who may decide what, and when; what time itself changes; and what can be learned from the past.
//!
//! Pure: the time is an argument, rows come in and changes go out. The store carries a [`Change`] out with one
//! conditional update on the version that it was computed from, so that of two racing ones exactly one is written.

mod actor;
pub(crate) mod anomaly;
mod change;
mod command;
mod decide;
mod digest;
mod due;
mod edit;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
pub(crate) mod model;
mod notice;
mod open;
pub(crate) mod performance;
mod permission;
mod refusal;
pub(crate) mod routing;

pub(crate) use self::{
    actor::{Actor, TIMEOUT},
    change::{Change, Transition},
    command::Command,
    decide::decide,
    digest::args_digest,
    due::seen_at,
    notice::Notice,
    open::{Asked, open},
    refusal::{Refusal, RefusalClass},
};
