//! What the replicas of the gateway tell each other of their providers, through Redis: which breakers opened and
//! closed, and which keys a provider refuses. Several replicas then find a fault once, and one of them looks whether it
//! is over.
//!
//! Four times a second each replica writes what it found out by itself and reads what the others did, in one script. No
//! request waits for that. The one that would be a half-open breaker's probe asks first whether another replica probes,
//! for as long as Redis may take; without an answer it goes ahead. A word ends by itself, on Redis' clock; without one,
//! no breaker changes. Redis may be lost or empty at any time: each replica then knows what it knew, and decides alone.
//!
//! A provider is meant by its name and address, a model by the name that the provider is asked for, a key by a digest
//! ([`Provider::identity`], [`Keys::digest`]). Nothing secret is written, and a replica that is configured differently is not talked to about what it does not have.
//!
//! [`Provider::identity`]: crate::providers::Provider::identity
//! [`Keys::digest`]: crate::providers::Keys::digest

mod exchange;
mod lease;
mod script;
mod word;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use vx11_redis::{Redis, Script};

use crate::providers::Provider;

pub(crate) use lease::Lease;
use script::{EXCHANGE, LEASE, RELEASE};

/// Time between two exchanges, give or take a quarter, so that replicas do not come all at once.
const PERIOD: Duration = Duration::from_millis(250);
/// How much longer than it may take one replica's probe keeps the others back: until they have heard how it went.
const HEARING: Duration = PERIOD.saturating_mul(2);
/// How long it does at most: a replica may die without a word.
const LONGEST_LEASE: Duration = Duration::from_secs(30);

/// This replica among the others.
#[derive(Debug)]
pub(crate) struct Replicas {
    redis: Arc<Redis>,
    /// Its name for as long as it lives.
    id: String,
    /// How many probes it has asked for.
    probes: AtomicU64,
    exchange: Script,
    lease: Script,
    release: Script,
}

impl Replicas {
    /// Talks through `redis`.
    pub(crate) fn new(redis: Arc<Redis>) -> Self {
        let id = format!("{:016x}", rand::random::<u64>());
        let (exchange, lease) = (redis.script("exchange", EXCHANGE), redis.script("lease", LEASE));
        let release = redis.script("release", RELEASE);
        Self { redis, id, probes: AtomicU64::new(0), exchange, lease, release }
    }

    /// Why this replica is on its own, where it is.
    pub(crate) fn trouble(&self) -> Option<&'static str> {
        if self.redis.is_lost() {
            return Some("Redis does not answer; breakers and keys are those of this replica alone");
        }
        let is_refused = self.exchange.is_refused() || self.lease.is_refused();
        is_refused
            .then_some("Redis refuses what replicas tell each other; breakers and keys are those of this replica alone")
    }

    /// Goes on exchanging words about the `providers` in force each time. Ends never.
    pub(crate) async fn keep_in_step(&self, providers: impl Fn() -> Vec<Arc<Provider>>) {
        loop {
            tokio::time::sleep(PERIOD.mul_f64(rand::random_range(0.75..1.25))).await;
            // Whoever settles limits looks whether it is back.
            if !self.redis.is_lost() {
                self.exchange(&providers()).await;
            }
        }
    }
}
