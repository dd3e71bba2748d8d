//! What is learnt about a provider while it is in use: for each of its models a breaker, its latency and its errors. A
//! whole answer and a stream's first token are two latencies, of which one says nothing about the other.
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

/// What each call under way costs where it is not known how long one takes: more than any that is known (Finagle's peak
/// EWMA has such a penalty), less than a target that is not asked at all.
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
    /// Calls under way, by form.
    in_flight: [AtomicU32; 2],
    measured: Mutex<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    /// By form.
    latency: [PeakEwma; 2],
    error_rate: f64,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All at once.
    Whole,
    /// As a stream, which is there with its first token.
    Streamed,
}

impl Form {
    /// That of a request which wants a stream, or none.
    pub(crate) fn of(stream: bool) -> Self {
        if stream { Self::Streamed } else { Self::Whole }
    }
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
        let measured = Measured { latency: [PeakEwma::new(Instant::now()); 2], error_rate: 0.0 };
        Self { breaker: Breaker::new(breaker), in_flight: Default::default(), measured: Mutex::new(measured) }
    }

    /// Counts a call as under way for as long as the guard lives.
    pub(crate) fn call(self: &Arc<Self>, form: Form) -> InFlight {
        self.in_flight[form as usize].fetch_add(1, Ordering::Relaxed);
        InFlight(self.clone(), form)
    }

    /// Takes in how long an answer of this form took to come.
    pub(crate) fn answered(&self, form: Form, latency: Duration) {
        let mut measured = self.measured();
        measured.latency[form as usize].record(latency, Instant::now());
        measured.error_rate -= NEWEST * measured.error_rate;
    }

    /// Takes in a failure, which counts for either form as an answer after `latency`, however soon it came: a target
    /// that fails fast must not pass for a fast one.
    pub(crate) fn failed(&self, latency: Duration) {
        let mut measured = self.measured();
        let now = Instant::now();
        measured.latency.iter_mut().for_each(|form| form.record(latency, now));
        measured.error_rate += NEWEST * (1.0 - measured.error_rate);
    }

    /// How long a call would take to be answered in this form: the expected latency, once for each call under way and
    /// the new one. Where that is not known one call of the form finds it out, and the others go elsewhere meanwhile.
    pub(crate) fn cost(&self, form: Form) -> Duration {
        let under_way = |form: Form| self.in_flight[form as usize].load(Ordering::Relaxed);
        match self.measured().latency[form as usize].known(Instant::now()) {
            Some(latency) => {
                let all = under_way(Form::Whole).saturating_add(under_way(Form::Streamed));
                latency.saturating_mul(all.saturating_add(1))
            }
            None => UNKNOWN.saturating_mul(under_way(form)),
        }
    }

    /// The expected latency, of the form that takes longer; zero where nothing is known.
    pub(crate) fn latency(&self) -> Duration {
        let now = Instant::now();
        self.measured().latency.iter().map(|form| form.expected(now)).max().unwrap_or_default()
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
pub(crate) struct InFlight(Arc<ModelLive>, Form);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight[self.1 as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> Arc<ModelLive> {
        Arc::new(ModelLive::new(BreakerConfig::default()))
    }

    #[test]
    fn one_call_at_a_time_finds_out_about_a_target_that_nothing_is_known_of() {
        let model = model();
        assert_eq!(model.cost(Form::Whole), Duration::ZERO, "it is worth trying");
        let calls = [model.call(Form::Whole), model.call(Form::Whole)];
        assert_eq!(model.cost(Form::Whole), 2 * UNKNOWN, "and not worth flooding");
        assert_eq!(model.cost(Form::Streamed), Duration::ZERO, "of a stream they tell nothing");
        model.answered(Form::Whole, Duration::from_secs(3600));
        assert!(model.cost(Form::Whole) < UNKNOWN, "what is known is cheaper, however slow");
        drop(calls);
    }

    #[test]
    fn a_target_of_long_answers_may_be_the_first_to_begin_them() {
        let (long, short) = (model(), model());
        for (model, whole, first) in [(&long, 30_000, 200), (&short, 3000, 900)] {
            model.answered(Form::Whole, Duration::from_millis(whole));
            model.answered(Form::Streamed, Duration::from_millis(first));
        }
        assert!(long.cost(Form::Streamed) < short.cost(Form::Streamed));
        assert!(long.cost(Form::Whole) > short.cost(Form::Whole));
        let _calls = [long.call(Form::Whole), long.call(Form::Streamed)];
        assert!(long.cost(Form::Streamed) > Duration::from_millis(500), "whatever is under way keeps it busy");
    }

    #[test]
    fn who_fails_is_slow_in_either_form() {
        let model = model();
        model.failed(Duration::from_secs(60));
        for form in [Form::Whole, Form::Streamed] {
            assert!(model.cost(form) > Duration::from_secs(50), "{form:?}");
        }
        assert!(model.error_rate() > 0.0);
    }
}
