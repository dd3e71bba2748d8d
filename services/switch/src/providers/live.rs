//! What is learnt about a provider while it is in use: for each of its models a breaker, its latency and its errors.
//!
//! Models are told apart by their label, a name or pattern of the configuration, so that there are never many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use vx11_resilience::{Admission, Breaker, BreakerConfig, RetryBudget};

use crate::config::{ProviderConfig, RetryConfig};
use crate::domain::latency::PeakEwma;

/// How much of the error rate the newest call makes up: about the last twenty calls count.
const NEWEST: f64 = 0.05;

/// What each call under way costs where it is not known how long one takes: more than any that is known (Finagle's peak EWMA
/// has such a penalty), less than a target that is not asked at all.
const UNKNOWN: Duration = Duration::from_secs(24 * 60 * 60);

/// What is learnt about one provider.
#[derive(Debug)]
pub(crate) struct Live {
    /// How many retries it can bear.
    pub(crate) retries: RetryBudget,
    /// How many calls it gets at a time.
    pub(crate) admission: Admission,
    /// Longest wait for one.
    pub(crate) queue_timeout: Duration,
    breaker: BreakerConfig,
    models: RwLock<BTreeMap<Arc<str>, Arc<ModelLive>>>,
}

/// What is learnt about one model at one provider.
#[derive(Debug)]
pub(crate) struct ModelLive {
    /// Whether it is asked.
    pub(crate) breaker: Breaker,
    in_flight: AtomicU32,
    measured: Mutex<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    latency: PeakEwma,
    error_rate: f64,
}

impl Live {
    /// Nothing is known yet.
    pub(super) fn new(config: &ProviderConfig, retries: RetryConfig, use_breakers: bool) -> Self {
        Self {
            retries: RetryBudget::new(retries.budget()),
            admission: Admission::new(config.concurrency.into()),
            queue_timeout: config.concurrency.queue_timeout,
            breaker: BreakerConfig { enabled: use_breakers, ..config.breaker.into() },
            models: RwLock::default(),
        }
    }

    /// What is learnt about the model of this label.
    pub(crate) fn model(&self, label: &Arc<str>) -> Arc<ModelLive> {
        let known = self.models.read().unwrap_or_else(PoisonError::into_inner).get(label).cloned();
        known.unwrap_or_else(|| {
            let mut models = self.models.write().unwrap_or_else(PoisonError::into_inner);
            models.entry(label.clone()).or_insert_with(|| Arc::new(ModelLive::new(self.breaker))).clone()
        })
    }

    /// Every model that was asked so far.
    pub(crate) fn models(&self) -> Vec<(Arc<str>, Arc<ModelLive>)> {
        let models = self.models.read().unwrap_or_else(PoisonError::into_inner);
        models.iter().map(|(label, model)| (label.clone(), model.clone())).collect()
    }
}

impl ModelLive {
    fn new(breaker: BreakerConfig) -> Self {
        let measured = Measured { latency: PeakEwma::new(Instant::now()), error_rate: 0.0 };
        Self { breaker: Breaker::new(breaker), in_flight: AtomicU32::new(0), measured: Mutex::new(measured) }
    }

    /// Counts a call as under way for as long as the guard lives.
    pub(crate) fn call(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone())
    }

    /// Takes in how long an answer took to begin. A failure counts as `latency` too: its caller says how long that is, so
    /// that a target that fails fast does not pass for a fast one.
    pub(crate) fn record(&self, latency: Duration, failed: bool) {
        let mut measured = self.measured();
        measured.latency.record(latency, Instant::now());
        measured.error_rate += NEWEST * (f64::from(u8::from(failed)) - measured.error_rate);
    }

    /// How long a call would take to be answered: the expected latency, once for each call under way and the new one. Where
    /// that is not known one call finds it out, and the others go elsewhere meanwhile.
    pub(crate) fn cost(&self) -> Duration {
        let under_way = self.in_flight.load(Ordering::Relaxed);
        match self.measured().latency.known(Instant::now()) {
            Some(latency) => latency.saturating_mul(under_way.saturating_add(1)),
            None => UNKNOWN.saturating_mul(under_way),
        }
    }

    /// The expected latency; zero where nothing is known.
    pub(crate) fn latency(&self) -> Duration {
        self.measured().latency.expected(Instant::now())
    }

    /// The part of the last calls that failed, 0 to 1.
    pub(crate) fn error_rate(&self) -> f64 {
        self.measured().error_rate
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<ModelLive>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_at_a_time_finds_out_about_a_target_that_nothing_is_known_of() {
        let model = Arc::new(ModelLive::new(BreakerConfig::default()));
        assert_eq!(model.cost(), Duration::ZERO, "it is worth trying");
        let calls = [model.call(), model.call()];
        assert_eq!(model.cost(), 2 * UNKNOWN, "and not worth flooding");
        model.record(Duration::from_secs(3600), false);
        assert!(model.cost() < UNKNOWN, "what is known is cheaper, however slow");
        drop(calls);
    }
}
