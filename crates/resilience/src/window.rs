//! An exact sliding window: at most N calls per key in any window of time.
//!
//! It remembers the time of each admitted call (a log), so it never lets N+1 through at a window's edge as counters
//! per fixed minute would. That costs N times per key: meant for small N, such as 10 messages in 60 s for each
//! session. Keys are bounded: a shard that is full forgets the key that was used longest ago, which fails open for
//! that key. Refused calls are not counted. Keys are kept as 64-bit hashes under a secret of this process, a third of
//! the room: of 100 000 keys, two share a hash once in four thousand million times.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::RetryAfter;

/// Enough that two workers rarely meet at one lock.
const SHARDS: usize = 16;

/// How many calls in how long, for how many keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlidingWindowConfig {
    /// Calls of one key in any window; 0 refuses all. Default 10.
    pub limit: u32,
    /// The window's length. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// Keys remembered at a time, about. Default 100 000.
    pub max_keys: usize,
}

impl Default for SlidingWindowConfig {
    fn default() -> Self {
        Self { limit: 10, window: Duration::from_secs(60), max_keys: 100_000 }
    }
}

/// At most N calls per key in any window.
#[derive(Debug)]
pub struct SlidingWindow {
    config: SlidingWindowConfig,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    keys: HashMap<u64, Log>,
    /// The keys by their last call: the first is the first to expire, and the first to be forgotten.
    by_last_call: BTreeMap<u64, u64>,
    /// Numbers the calls of this shard.
    calls: u64,
}

#[derive(Debug, Default)]
struct Log {
    /// When the calls within the window were admitted, oldest first; never more than the limit.
    times: VecDeque<Instant>,
    last_call: u64,
}

impl SlidingWindow {
    /// An empty window.
    pub fn new(config: SlidingWindowConfig) -> Self {
        Self { config, hasher: RandomState::new(), shards: Default::default() }
    }

    /// Counts one call of `key` at `now` and returns how many more fit into the window, or refuses it and says when
    /// one fits again.
    pub fn check(&self, key: &str, now: Instant) -> Result<u32, RetryAfter> {
        let SlidingWindowConfig { limit, window, max_keys } = self.config;
        if limit == 0 {
            return Err(RetryAfter(window));
        }
        let key = self.hasher.hash_one(key);
        let mut shard = lock(&self.shards[usize::try_from(key % SHARDS as u64).unwrap_or_default()]);
        shard.forget_expired(now, window);
        shard.admit(key, now, limit, window).inspect(|_| shard.bound(max_keys.div_ceil(SHARDS).max(1)))
    }

    /// How many keys have a call within the window that ends at `now`.
    pub fn active_keys(&self, now: Instant) -> usize {
        let shards = self.shards.iter();
        shards
            .map(|shard| {
                let mut shard = lock(shard);
                shard.forget_expired(now, self.config.window);
                shard.keys.len()
            })
            .sum()
    }
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock()
}

impl Shard {
    fn admit(&mut self, key: u64, now: Instant, limit: u32, window: Duration) -> Result<u32, RetryAfter> {
        let log = self.keys.entry(key).or_default();
        // Two threads may take the time in one order and the lock in the other.
        let now = log.times.back().map_or(now, |last| now.max(*last));
        while log.times.front().is_some_and(|oldest| now - *oldest >= window) {
            log.times.pop_front();
        }

        let used = u32::try_from(log.times.len()).unwrap_or(u32::MAX);
        if let Some(oldest) = log.times.front()
            && used >= limit
        {
            return Err(RetryAfter(window - (now - *oldest)));
        }
        if log.times.capacity() == 0 {
            // Most keys are seen once; a collection's first guess is four.
            log.times.reserve_exact(1);
        }
        log.times.push_back(now);
        self.by_last_call.remove(&log.last_call);
        self.calls += 1;
        log.last_call = self.calls;
        self.by_last_call.insert(self.calls, key);
        Ok(limit - used - 1)
    }

    fn forget_expired(&mut self, now: Instant, window: Duration) {
        while let Some(entry) = self.by_last_call.first_entry() {
            let last = self.keys.get(entry.get()).and_then(|log| log.times.back());
            if last.is_some_and(|last| now.saturating_duration_since(*last) < window) {
                return;
            }
            self.keys.remove(&entry.remove());
        }
    }

    fn bound(&mut self, max_keys: usize) {
        while self.keys.len() > max_keys {
            let Some((_, oldest)) = self.by_last_call.pop_first() else {
                return;
            };
            self.keys.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn window(limit: u32, max_keys: usize) -> SlidingWindow {
        SlidingWindow::new(SlidingWindowConfig { limit, window: WINDOW, max_keys })
    }

    #[test]
    fn the_eleventh_message_waits_until_the_first_is_a_window_old() {
        let window = window(10, 1000);
        let start = Instant::now();
        for remaining in (0..10).rev() {
            assert_eq!(window.check("s", start), Ok(remaining));
        }
        let later = start + Duration::from_secs(20);
        assert_eq!(window.check("s", later), Err(RetryAfter(Duration::from_secs(40))));
        assert_eq!(window.check("other", later), Ok(9));
        assert_eq!(window.check("s", start + WINDOW), Ok(9));
    }

    #[test]
    fn keys_stay_bounded_and_the_longest_unused_goes_first() {
        let window = window(1, SHARDS);
        let start = Instant::now();
        for key in 0..10_000 {
            window.check(&key.to_string(), start).expect("each key's first");
        }
        assert!(window.active_keys(start) <= SHARDS);
        window.check("9999", start).expect_err("the newest key is still known");
        window.check("0", start).expect("the oldest key was forgotten");
    }

    #[test]
    fn expired_keys_take_no_room() {
        let window = window(1, 1000);
        let start = Instant::now();
        for key in 0..100 {
            window.check(&key.to_string(), start).expect("each key's first");
        }
        assert_eq!(window.active_keys(start), 100);
        assert_eq!(window.active_keys(start + WINDOW), 0);
    }

    #[test]
    fn a_limit_of_zero_refuses_everything() {
        assert_eq!(window(0, 10).check("s", Instant::now()), Err(RetryAfter(WINDOW)));
    }

    proptest! {
        #[test]
        fn it_is_the_naive_log(limit in 1u32..5, calls in prop::collection::vec((0u8..4, 0u64..40_000), 0..200)) {
            let window = window(limit, 1000);
            let (start, mut at) = (Instant::now(), Duration::ZERO);
            let mut admitted: Vec<(u8, Duration)> = Vec::new();

            for (key, pause_ms) in calls {
                at += Duration::from_millis(pause_ms);
                let recent: Vec<_> =
                    admitted.iter().filter(|(k, t)| *k == key && at - *t < WINDOW).map(|(_, t)| *t).collect();
                let expected = if recent.len() < limit as usize {
                    admitted.push((key, at));
                    Ok(limit - recent.len() as u32 - 1)
                } else {
                    Err(RetryAfter(recent[0] + WINDOW - at))
                };
                prop_assert_eq!(window.check(&key.to_string(), start + at), expected);
            }
        }
    }
}
