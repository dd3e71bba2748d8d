//! The edge's rate limit: a steady rate per key with room for a burst (GCRA, by `governor`).
//!
//! Cheap enough for every request and one word per key. Keys are kept as keyed hashes, so tokens and addresses are
//! not held in memory; two keys that share a hash would share a limit. Keys are bounded: above the bound, those whose
//! burst has refilled are dropped, which changes nothing for them; when that is not enough (a flood of fresh keys),
//! all are forgotten, which fails open for one burst rather than refuse strangers or grow.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::RetryAfter;

/// How many calls a key has, steadily and at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Calls a minute that a key can make for ever. Default 6000.
    pub per_minute: NonZeroU32,
    /// Calls that a rested key can make at once. Default 200.
    pub burst: NonZeroU32,
    /// Keys remembered at a time, about. Default 100 000.
    pub max_keys: usize,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        const PER_MINUTE: NonZeroU32 = NonZeroU32::new(6000).expect("not zero");
        const BURST: NonZeroU32 = NonZeroU32::new(200).expect("not zero");
        Self { per_minute: PER_MINUTE, burst: BURST, max_keys: 100_000 }
    }
}

type Limiter<C> = RateLimiter<u64, DashMapStateStore<u64>, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// A steady rate with a burst, per key. `C` is the clock; tests bring their own.
pub struct RateLimit<C: Clock = DefaultClock> {
    config: RateLimitConfig,
    clock: C,
    hasher: RandomState,
    limiter: RwLock<Limiter<C>>,
    /// Calls since the number of keys was last looked at.
    unchecked: AtomicUsize,
}

impl RateLimit {
    /// A limit on the machine's monotonic clock.
    pub fn new(config: RateLimitConfig) -> Self {
        Self::with_clock(config, DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimit<C> {
    fn with_clock(config: RateLimitConfig, clock: C) -> Self {
        let limiter = RwLock::new(limiter(config, clock.clone()));
        Self { config, clock, hasher: RandomState::new(), limiter, unchecked: AtomicUsize::new(0) }
    }

    /// Counts one call of `key`, or refuses it and says when the next one fits.
    pub fn check(&self, key: impl Hash) -> Result<(), RetryAfter> {
        let key = self.hasher.hash_one(key);
        // Counting keys visits every shard, so it is done once for many calls. The bound is exceeded by at most these.
        let calls_per_look = (self.config.max_keys / 8).clamp(1, 1024);
        if self.unchecked.fetch_add(1, Ordering::Relaxed) + 1 >= calls_per_look {
            self.unchecked.store(0, Ordering::Relaxed);
            self.bound();
        }
        let limiter = self.limiter.read();
        limiter.check_key(&key).map_err(|until| RetryAfter(until.wait_time_from(self.clock.now())))
    }

    /// How many keys are remembered.
    pub fn keys(&self) -> usize {
        self.limiter.read().len()
    }

    fn bound(&self) {
        if self.keys() <= self.config.max_keys {
            return;
        }
        let mut limiter_guard = self.limiter.write();
        limiter_guard.retain_recent();
        if limiter_guard.len() > self.config.max_keys {
            *limiter_guard = limiter(self.config, self.clock.clone());
        }
    }
}

fn limiter<C: Clock>(config: RateLimitConfig, clock: C) -> Limiter<C> {
    let quota = Quota::per_minute(config.per_minute).allow_burst(config.burst);
    RateLimiter::new(quota, DashMapStateStore::default(), clock)
}

impl<C: Clock> std::fmt::Debug for RateLimit<C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimit").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limit(per_minute: u32, burst: u32, max_keys: usize) -> (RateLimit<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let number = |n| NonZeroU32::new(n).expect("not zero");
        let config = RateLimitConfig { per_minute: number(per_minute), burst: number(burst), max_keys };
        (RateLimit::with_clock(config, clock.clone()), clock)
    }

    #[test]
    fn a_burst_fits_then_calls_come_at_the_rate() {
        let (limit, clock) = limit(60, 3, 1000);
        for _ in 0..3 {
            limit.check("token").expect("within the burst");
        }
        assert_eq!(limit.check("token"), Err(RetryAfter(Duration::from_secs(1))));
        limit.check("another").expect("keys do not share");

        clock.advance(Duration::from_secs(1));
        limit.check("token").expect("one call has grown back");
        limit.check("token").expect_err("only one");
    }

    #[test]
    fn a_flood_of_keys_does_not_grow_the_table() {
        let (limit, _clock) = limit(60, 1, 100);
        for key in 0..100_000u32 {
            limit.check(key).expect("each key's first");
        }
        assert!(limit.keys() <= 100 + 100 / 8 + 1, "{} keys", limit.keys());
    }

    #[test]
    fn rested_keys_are_dropped_and_busy_ones_kept() {
        let (limit, clock) = limit(60, 1, 100);
        for key in 0..100u32 {
            limit.check(key).expect("each key's first");
        }
        clock.advance(Duration::from_secs(3600));
        limit.check("busy").expect("first");
        for key in 200..240u32 {
            limit.check(key).expect("each key's first");
        }
        assert!(limit.keys() <= 100, "the rested keys are gone");
        limit.check("busy").expect_err("the busy key is still known");
    }
}
