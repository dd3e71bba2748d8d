//! Who wanted to do something and was refused, in the trail: each attempt counts there, allowed or not.
//!
//! A caller that is refused over and over leaves so many rows a minute and no more, so that it cannot push others' rows
//! out or fill the store.

use std::num::NonZeroU32;
use std::sync::Arc;

use vx11_contracts::event::Action;
use vx11_contracts::identity::Principal;
use vx11_resilience::{RateLimit, RateLimitConfig};
use vx11_store::Writer;

use crate::store::Record;

/// Rows of one caller a minute, and at once.
const EACH: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
/// Callers that are remembered.
const CALLERS: usize = 10_000;

/// Notes refusals. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Refusals {
    trail: Writer<Record>,
    limit: Arc<RateLimit>,
}

impl Refusals {
    pub(crate) fn new(trail: Writer<Record>) -> Self {
        let limit = RateLimitConfig { per_minute: EACH, burst: EACH, max_keys: CALLERS };
        Self { trail, limit: Arc::new(RateLimit::new(limit)) }
    }

    /// Leaves `row`, which tells that `principal` was refused.
    pub(crate) fn leave(&self, principal: &Principal, row: Action) {
        if self.limit.check((principal.org.as_str(), &*principal.subject)).is_ok() {
            // The writer keeps it, or counts that it had no room.
            let _ = self.trail.try_enqueue(Record::Action(row));
        }
    }
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Refusals")
    }
}
