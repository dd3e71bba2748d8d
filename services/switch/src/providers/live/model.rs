//! What is learnt about one model at one provider. A whole answer and a stream's first token are two latencies, of
//! which one says nothing about the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use vx11_resilience::{Breaker, BreakerConfig, BreakerState};

use crate::domain::latency::PeakEwma;

/// What a failure counts as at most: longer than nearly every answer takes, and forgotten as soon as one of these.
const FAILED: Duration = Duration::from_secs(15);
/// How much of the error rate the newest call makes up: about the last twenty calls count.
const NEWEST: f64 = 0.05;

/// What is left of the error rate when a failure is as good as forgotten.
const SMALL: f64 = 0.01;

/// What each call under way costs where it is not known how long one takes: more than any that is known (Finagle's peak
/// EWMA has such a penalty), less than a target that is not asked at all.
const UNKNOWN: Duration = Duration::from_secs(24 * 60 * 60);

/// What is learnt about one model at one provider.
#[derive(Debug)]
pub(crate) struct ModelLive {
    /// The name under which it is kept.
    pub(crate) name: Arc<str>,
    /// Whether it is asked.
    pub(crate) breaker: Breaker,
    /// Calls under way, by form.
    in_flight: [AtomicU32; 2],
    measured: Mutex<Measured>,
    /// How many names had come when it was last looked up.
    used: AtomicU64,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    /// By form.
    latency: [PeakEwma; 2],
    error_rate: f64,
    was_answered: bool,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All at once.
    Whole,
    /// As a stream, which is there with its first token.
    Streamed,
}

/// What would be lost with a model that is forgotten; the least comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Worth {
    memory: Memory,
    /// One that never was may not be there at all.
    was_answered: bool,
    used: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Memory {
    Nothing,
    Failures,
    /// That one call is to look whether it is well again.
    Probe,
}

impl Form {
    /// That of a request which wants a stream, or none.
    pub(crate) fn of(stream: bool) -> Self {
        if stream { Self::Streamed } else { Self::Whole }
    }
}

impl ModelLive {
    pub(super) fn new(name: Arc<str>, breaker: BreakerConfig) -> Self {
        let latency = [PeakEwma::new(Instant::now()); 2];
        let measured = Measured { latency, error_rate: 0.0, was_answered: false };
        Self {
            name,
            breaker: Breaker::new(breaker),
            in_flight: Default::default(),
            measured: Mutex::new(measured),
            used: AtomicU64::default(),
        }
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
        measured.was_answered = true;
    }

    /// Takes in a failure of a provider whose answer is waited for so long at most. It counts for either form as an answer
    /// after that or [`FAILED`], however soon it came: a target that fails fast must not pass for a fast one.
    pub(crate) fn failed(&self, longest: Duration) {
        let latency = longest.min(FAILED);
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

    /// Whether its breaker is open, and the pause not over.
    pub(crate) fn is_open(&self) -> bool {
        self.breaker.snapshot().state == BreakerState::Open
    }

    /// Whether the provider has ever answered for it.
    pub(super) fn was_answered(&self) -> bool {
        self.measured().was_answered
    }

    /// It is looked up, when so many names have come.
    pub(super) fn used(&self, arrivals: u64) {
        // What all workers read is not written without need.
        if self.used.load(Ordering::Relaxed) != arrivals {
            self.used.store(arrivals, Ordering::Relaxed);
        }
    }

    /// What would be lost with it; `None` where that must not be, because its breaker is open.
    pub(super) fn worth(&self) -> Option<Worth> {
        let Measured { error_rate, was_answered, .. } = *self.measured();
        let breaker = self.breaker.snapshot();
        let memory = match breaker.state {
            BreakerState::Open => return None,
            BreakerState::HalfOpen => Memory::Probe,
            BreakerState::Closed if breaker.failure_count > 0 || error_rate > SMALL => Memory::Failures,
            BreakerState::Closed => Memory::Nothing,
        };
        Some(Worth { memory, was_answered, used: self.used.load(Ordering::Relaxed) })
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock()
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
        Arc::new(ModelLive::new("m".into(), BreakerConfig::default()))
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
        for (longest, least) in [(Duration::from_secs(600), 14), (Duration::from_secs(5), 4)] {
            let model = model();
            model.failed(longest);
            for form in [Form::Whole, Form::Streamed] {
                assert!((least..=15).contains(&model.cost(form).as_secs()), "{form:?} {longest:?}");
            }
            assert!(model.error_rate() > 0.0);
        }
    }
}
