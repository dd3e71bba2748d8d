//! The breaker's rules, on plain data and a time that is handed in.

mod words;

use std::time::{Duration, Instant, SystemTime};

use super::{BreakerConfig, BreakerSnapshot, BreakerState, FailureRate, Open};
use crate::ring::Ring;

/// How long a probe keeps others back whose caller does not say how long it may take.
pub(super) const PROBE_PATIENCE: Duration = Duration::from_secs(1);

/// Longer than anybody means; keeps the sum of an instant and a configured duration in range.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The state in which a call was admitted. Every change of state starts a new generation, so that results of calls
/// from before it can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admission(u64);

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed,
    Open { until: Instant },
    HalfOpen { next_probe: Instant },
}

#[derive(Debug)]
pub(super) struct Machine {
    config: BreakerConfig,
    phase: Phase,
    generation: u64,
    failure_count: u32,
    last_failure: Option<SystemTime>,
    rate: Option<Rate>,
    /// When it found out by itself what it is now, as long as no other breaker of the target was told.
    untold_since: Option<Instant>,
    /// The last word of others that it took in, or its own that they were told.
    last_word: Option<u64>,
}

impl Machine {
    pub(super) fn new(config: BreakerConfig, now: Instant) -> Self {
        let rate = config.failure_rate.map(|limit| Rate::new(limit, now));
        Self {
            config,
            phase: Phase::Closed,
            generation: 0,
            failure_count: 0,
            last_failure: None,
            rate,
            untold_since: None,
            last_word: None,
        }
    }

    /// Where the call becomes the probe, it is the only one until it is decided, or `patience` is over.
    pub(super) fn admit(&mut self, patience: Duration, now: Instant) -> Result<Admission, Open> {
        match self.phase {
            Phase::Closed => {}
            Phase::Open { until } if now < until => {
                return Err(Open { retry_after: until - now });
            }
            Phase::HalfOpen { next_probe } if now < next_probe => {
                // It is mostly decided sooner than it might be.
                return Err(Open { retry_after: (next_probe - now).min(PROBE_PATIENCE) });
            }
            Phase::Open { .. } => self.enter(Phase::HalfOpen { next_probe: now + patience.min(LONGEST) }),
            // The same generation: whichever probe is decided first, decides.
            Phase::HalfOpen { .. } => self.phase = Phase::HalfOpen { next_probe: now + patience.min(LONGEST) },
        }
        Ok(Admission(self.generation))
    }

    /// `true` when this closed the breaker.
    pub(super) fn success(&mut self, admission: Admission, now: Instant) -> bool {
        if !self.is_current(admission) {
            return false;
        }
        self.failure_count = 0;
        let was_probe = self.is_half_open();
        if was_probe {
            self.close(now);
            self.untold_since = Some(now);
        }
        if let Some(rate) = &mut self.rate {
            rate.count(now, false);
        }
        was_probe
    }

    /// `true` when this opened the breaker.
    pub(super) fn failure(&mut self, admission: Admission, now: Instant) -> bool {
        self.last_failure = Some(SystemTime::now());
        if !self.is_current(admission) {
            return false;
        }
        self.failure_count = self.failure_count.saturating_add(1);
        let too_many = self.rate.as_mut().is_some_and(|rate| {
            rate.count(now, true);
            rate.is_exceeded()
        });
        let too_many = too_many || self.is_half_open() || self.failure_count >= self.config.failure_threshold.max(1);
        let opens = too_many && self.config.enabled;
        if opens {
            self.open(now, self.config.open_for);
            self.untold_since = Some(now);
        }
        opens
    }

    /// The caller went away: an undecided probe hands its place to the next caller.
    pub(super) fn abandon(&mut self, admission: Admission, now: Instant) {
        if self.is_current(admission) && self.is_half_open() {
            self.phase = Phase::HalfOpen { next_probe: now };
        }
    }

    /// A probe may go at once; one that is under way stays the only one.
    pub(super) fn end_pause(&mut self, now: Instant) {
        if let Phase::Open { until } = &mut self.phase {
            *until = now.min(*until);
        }
    }

    pub(super) fn snapshot(&self, now: Instant) -> BreakerSnapshot {
        let (state, retry_after) = match self.phase {
            Phase::Closed => (BreakerState::Closed, None),
            Phase::Open { until } if now < until => (BreakerState::Open, Some(until - now)),
            Phase::Open { .. } | Phase::HalfOpen { .. } => (BreakerState::HalfOpen, None),
        };
        BreakerSnapshot { state, failure_count: self.failure_count, last_failure: self.last_failure, retry_after }
    }

    fn open(&mut self, now: Instant, pause: Duration) {
        self.enter(Phase::Open { until: now + pause.min(LONGEST) });
    }

    fn close(&mut self, now: Instant) {
        self.enter(Phase::Closed);
        self.failure_count = 0;
        // What was counted before it opened has been judged already.
        self.rate = self.config.failure_rate.map(|limit| Rate::new(limit, now));
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation += 1;
        self.untold_since = None;
    }

    pub(super) fn is_half_open(&self) -> bool {
        matches!(self.phase, Phase::HalfOpen { .. })
    }

    fn is_current(&self, admission: Admission) -> bool {
        admission.0 == self.generation
    }
}

/// Decided calls of the last while.
#[derive(Debug)]
struct Rate {
    limit: FailureRate,
    calls: Ring<Calls>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    all: u32,
    failed: u32,
}

impl Rate {
    fn new(limit: FailureRate, now: Instant) -> Self {
        Self { limit, calls: Ring::over(limit.window, now) }
    }

    fn count(&mut self, now: Instant, failed: bool) {
        let calls = self.calls.at(now);
        calls.all = calls.all.saturating_add(1);
        calls.failed = calls.failed.saturating_add(u32::from(failed));
    }

    /// Whether too large a share has failed, after a call was counted.
    fn is_exceeded(&self) -> bool {
        let sum =
            |count: fn(&Calls) -> u32| self.calls.slots().iter().map(|calls| u64::from(count(calls))).sum::<u64>();
        let (all, failed) = (sum(|calls| calls.all), sum(|calls| calls.failed));
        all >= u64::from(self.limit.min_calls) && failed * 100 >= all * u64::from(self.limit.percent)
    }
}

#[cfg(test)]
mod tests;
