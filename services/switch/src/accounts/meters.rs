//! Reserving and settling: what every keeper of the counters promises.
//!
//! A request reserves an estimate on all of its meters or on none, and settles the truth exactly once. A reservation
//! that is never settled, because its process died, must not count for ever.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::account::{Account, Amounts, Unit};
use super::period::Period;

/// What was set aside for one request.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    pub(crate) account: Arc<Account>,
    pub(crate) reserved: Amounts,
    /// When, in Unix milliseconds: it is settled in the windows of then.
    pub(crate) at_ms: i64,
    /// In which era of the tenant's book: it is settled in no later life of those windows.
    pub(crate) era: u64,
    /// Its name in Redis; 0 where only this process knows of it.
    pub(crate) id: u64,
    /// Redis granted it, and so has it in what it says is used.
    pub(crate) is_shared: bool,
}

/// How much is left on one meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) unit: Unit,
    pub(crate) period: Period,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Until the window ends.
    pub(crate) reset: Duration,
}

/// A meter had too little left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Whose limit it was, such as `org:acme`.
    pub(crate) scope: Arc<str>,
    pub(crate) level: Level,
    /// What was wanted of it.
    pub(crate) wanted: u64,
}

impl Refused {
    /// Whether it was money that was short.
    pub(crate) fn is_budget(&self) -> bool {
        self.level.unit == Unit::Money
    }
}

/// Keeps the counters.
#[async_trait]
pub(crate) trait Meters: Send + Sync + std::fmt::Debug {
    /// Sets `amounts` aside on every meter of `account`, or on none.
    async fn reserve(&self, account: &Arc<Account>, amounts: Amounts, now_ms: i64) -> Result<Reservation, Refused>;

    /// Replaces what was reserved by what was spent. Never waits.
    fn settle(&self, reservation: Reservation, spent: Amounts);

    /// Why the counters are not those of all replicas, where they should be.
    fn trouble(&self) -> Option<&'static str>;

    /// Waits until everything is settled, at most this long: when the service stops.
    async fn flush(&self, limit: Duration);
}
