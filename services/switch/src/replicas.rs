//! What the replicas of the gateway tell each other of their providers, through Redis: which breakers opened and closed, and
//! which keys a provider refuses. Several replicas then find a fault once, and one of them looks whether it is over.
//!
//! Four times a second each replica writes what it found out by itself and reads what the others did, in one script. No
//! request waits for that. The one that would be a half-open breaker's probe asks first whether another replica probes, for
//! as long as Redis may take; without an answer it goes ahead. A word ends by itself, on Redis' clock; without one,
//! no breaker changes. Redis may be lost or empty at any time: each replica then knows what it knew, and decides alone.
//!
//! A provider is meant by its name and address, a key by a digest ([`Provider::identity`], [`Keys::digest`]). Nothing secret
//! is written, and a replica that is configured differently is not talked to about what it does not have.
//!
//! [`Provider::identity`]: crate::providers::Provider::identity
//! [`Keys::digest`]: crate::providers::Keys::digest

mod exchange;
mod script;
mod word;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::providers::Provider;
use crate::redis::{Redis, Script};

use script::{EXCHANGE, LEASE};
use word::breaker_field;

/// Time between two exchanges, give or take a quarter, so that replicas do not come all at once.
const PERIOD: Duration = Duration::from_millis(250);
/// How much longer than it may take one replica's probe keeps the others back: until they have heard how it went.
const HEARING: Duration = PERIOD.saturating_mul(2);
/// How long it does at most: a replica may die, or its caller leave, without a word.
const LONGEST_LEASE: Duration = Duration::from_secs(30);

/// This replica among the others.
#[derive(Debug)]
pub(crate) struct Replicas {
    redis: Arc<Redis>,
    /// Its name for as long as it lives.
    id: String,
    exchange: Script,
    lease: Script,
}

/// A provider of the configuration in force.
#[derive(Debug)]
pub(crate) struct Known {
    /// The provider.
    pub(crate) provider: Arc<Provider>,
    /// Every label that its models can have: breakers of others are heard of under these.
    pub(crate) labels: BTreeSet<Arc<str>>,
}

impl Replicas {
    /// Talks through `redis`.
    pub(crate) fn new(redis: Arc<Redis>) -> Self {
        let id = format!("{:016x}", rand::random::<u64>());
        Self { redis, id, exchange: Script::new("exchange", EXCHANGE), lease: Script::new("lease", LEASE) }
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

    /// Asks to make the probe of a half-open breaker. `Some`: another replica makes one, and this one may ask again after
    /// that time.
    pub(crate) async fn probe_elsewhere(&self, provider: &Provider, label: &str) -> Option<Duration> {
        let lease_for = provider.limits.call().saturating_add(HEARING).min(LONGEST_LEASE);
        if self.redis.is_lost() {
            return None;
        }
        let lease = script::lease(&breaker_field(provider, label));
        let arguments = vec![self.id.clone(), lease_for.as_millis().to_string()];
        let left_ms: i64 = self.redis.run(&self.lease, vec![lease], arguments).await.ok()?;
        let left = Duration::from_millis(u64::try_from(left_ms).ok()?);
        (!left.is_zero()).then_some(left.min(LONGEST_LEASE))
    }

    /// Goes on exchanging words about the providers that are `known` each time. Ends never.
    pub(crate) async fn keep_in_step(&self, known: impl Fn() -> Vec<Known>) {
        loop {
            tokio::time::sleep(PERIOD.mul_f64(rand::random_range(0.75..1.25))).await;
            // Whoever settles limits looks whether it is back.
            if !self.redis.is_lost() {
                self.exchange(&known()).await;
            }
        }
    }
}
