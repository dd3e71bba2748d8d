//! Places of callers that wait for a person: how many wait, how many of them are one caller's, and how many bytes their
//! requests keep.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::metrics::{HoldMetrics, Waiting};
use crate::config::HoldLimitsConfig;

/// All places.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    per_caller: usize,
    /// How many each caller has. Who has none is not in it.
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place among those that wait.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _bytes: OwnedSemaphorePermit,
    _share: Share,
    _waiting: Waiting,
}

/// One of the places that a caller has.
#[derive(Debug)]
struct Share {
    caller: String,
    taken: Arc<Mutex<HashMap<String, usize>>>,
}

impl Places {
    pub(super) fn new(limits: &HoldLimitsConfig) -> Self {
        let semaphore = |permits: usize| Arc::new(Semaphore::new(permits.min(Semaphore::MAX_PERMITS)));
        Self {
            free: semaphore(limits.waiting),
            bytes: semaphore(limits.waiting_bytes),
            per_caller: limits.waiting_per_caller,
            taken: Arc::default(),
        }
    }

    /// One for a request of `caller` that keeps so many `bytes`, where there is one.
    pub(super) fn take(&self, caller: &str, bytes: usize, metrics: &HoldMetrics) -> Option<Place> {
        let permit = self.free.clone().try_acquire_owned().ok()?;
        let bytes = self.bytes.clone().try_acquire_many_owned(u32::try_from(bytes).ok()?).ok()?;
        let share = self.share(caller)?;
        Some(Place { _permit: permit, _bytes: bytes, _share: share, _waiting: metrics.wait() })
    }

    fn share(&self, caller: &str) -> Option<Share> {
        let mut taken = self.taken.lock();
        let own = taken.get(caller).copied().unwrap_or_default();
        if own >= self.per_caller {
            return None;
        }
        taken.insert(caller.to_owned(), own + 1);
        Some(Share { caller: caller.to_owned(), taken: self.taken.clone() })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        match taken.get_mut(&self.caller) {
            Some(own) if *own > 1 => *own -= 1,
            _ => _ = taken.remove(&self.caller),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    fn places(limits: HoldLimitsConfig) -> impl Fn(&str, usize) -> Option<Place> {
        let (places, metrics) = (Places::new(&limits), HoldMetrics::new(&Registry::new()).expect("names are free"));
        move |caller, bytes| places.take(caller, bytes, &metrics)
    }

    #[test]
    fn one_caller_leaves_places_for_others() {
        let limits = HoldLimitsConfig { waiting: 3, waiting_per_caller: 2, ..HoldLimitsConfig::default() };
        let take = places(limits);
        let first = take("alice", 1).expect("free");
        let _second = take("alice", 1).expect("free");
        assert!(take("alice", 1).is_none(), "it has its share");
        let bobs = take("bob", 1).expect("free");
        assert!(take("carol", 1).is_none(), "all are taken");
        drop((first, bobs));
        assert!(take("alice", 1).is_some(), "what is given back is free again");
    }

    #[test]
    fn what_waits_keeps_so_many_bytes_at_most() {
        let take = places(HoldLimitsConfig { waiting_bytes: 10, ..HoldLimitsConfig::default() });
        let first = take("alice", 6).expect("fits");
        assert!(take("bob", 5).is_none() && take("bob", 4).is_some());
        drop(first);
        assert!(take("bob", 10).is_some());
        assert!(take("bob", 11).is_none());
    }
}
