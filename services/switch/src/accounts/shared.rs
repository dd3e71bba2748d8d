//! The counters of all replicas, in Redis: one script an operation, so that each is atomic, and N replicas together
//! enforce a limit once.
//!
//! The process's own counters follow: they are what Redis said last, and what it has not been told yet. While Redis
//! does not answer they take over from there; what it lets in meanwhile is settled in Redis once that is back. A Redis
//! that comes back empty, or that never had a counter, is told what the process knows. Settlements wait in a bounded
//! queue; beyond the bound the oldest of a key become one. An operation that timed out may have been carried out, so
//! each can be repeated without counting twice. So is one that Redis refused, beside the others: it may be of a counter
//! that is broken. A reservation that nobody settles ends by itself.

mod counters;
mod known;
mod script;
mod settler;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use prometheus::IntCounter;
use vx11_redis::Redis;

use super::account::{Account, Amounts};
use super::local;
use super::meters::{Meters, Refused, Reservation};

use counters::Counters;
use settler::{Settlement, Settler};

/// Counts in Redis.
#[derive(Debug)]
pub(crate) struct SharedMeters {
    counters: Arc<Counters>,
    settler: Settler,
    /// The next reservation's number. It starts at random, so that no two processes use the same ones.
    next_id: AtomicU64,
}

impl SharedMeters {
    /// Begins to settle in the background. Needs a tokio runtime.
    pub(crate) fn start(redis: Arc<Redis>, folded: IntCounter) -> Self {
        let counters = Arc::new(Counters::new(redis));
        let settler = Settler::start(counters.clone(), folded);
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), std::process::id());
        Self { counters, settler, next_id: AtomicU64::new(random) }
    }
}

/// A reservation that Redis is asked for. When its caller leaves meanwhile, or is refused after an answer that never
/// came, Redis may hold it: it is given back.
struct Asking<'a> {
    settler: &'a Settler,
    reservation: Reservation,
    is_over: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let reservation = self.reservation.clone();
            self.settler.push(Settlement { reservation, spent: Amounts::default() });
        }
    }
}

#[async_trait]
impl Meters for SharedMeters {
    async fn reserve(&self, account: &Arc<Account>, amounts: Amounts, now_ms: i64) -> Result<Reservation, Refused> {
        let (now_ms, era) = local::at_ms(account, now_ms);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed).max(1);
        let mut reservation =
            Reservation { account: account.clone(), reserved: amounts, at_ms: now_ms, era, id, is_shared: false };
        let mut asking = Asking { settler: &self.settler, reservation: reservation.clone(), is_over: false };
        match self.counters.reserve(account, amounts, now_ms, id).await {
            Some(answer) => {
                asking.is_over = true;
                answer?;
                reservation.is_shared = true;
            }
            None => {
                reservation.era = local::reserve(account, amounts, now_ms, id)?.era;
                asking.is_over = true;
            }
        }
        known::began(&reservation);
        Ok(reservation)
    }

    fn settle(&self, reservation: Reservation, spent: Amounts) {
        local::settle(&reservation, spent);
        known::ended(&reservation, spent);
        self.settler.push(Settlement { reservation, spent });
    }

    fn trouble(&self) -> Option<&'static str> {
        self.counters.trouble()
    }

    async fn flush(&self, limit: Duration) {
        self.settler.flush(limit).await;
    }
}
