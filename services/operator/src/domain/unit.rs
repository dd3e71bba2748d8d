//! Units of work: where each may go, what rules say of that, and what pilots and silence do to it.
//!
//! Pure: the time is an argument, rows come in and changes go out. The store carries a [`Change`] out with one
//! conditional update on the version that it was computed from, so that of two racing ones exactly one is written.

mod alive;
mod change;
mod criterion;
mod effect;
#[cfg(test)]
mod fixture;
mod guardian;
mod judge;
#[cfg(test)]
mod model;
mod parking;
mod pilot;
mod refusal;
mod register;
mod report;
#[cfg(test)]
mod table;

pub(crate) use self::{
    alive::{Beat, clock, heartbeat, swept},
    change::Change,
    effect::{Effect, Needs, applied, effect},
    parking::parking,
    pilot::{KILLED, PilotAction, act},
    refusal::Refusal,
    register::{Registered, register},
    report::report,
};
