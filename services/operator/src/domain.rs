//! Rules on plain data: no clock, no network, no connection, no actix type.

pub(crate) mod audit;
pub(crate) mod difference;
pub(crate) mod event;
pub(crate) mod history;
pub(crate) mod intervention;
pub(crate) mod key_limits;
pub(crate) mod key_terms;
pub(crate) mod minute_summary;
pub(crate) mod period;
pub(crate) mod unit;
