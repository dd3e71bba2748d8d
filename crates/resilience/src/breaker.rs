//! The circuit breaker: stop calling what does not answer, and notice when it answers again.
//!
//! It opens after a number of failures in a row, or when too large a share of the calls of the last while failed; while
//! open, calls are refused without being made. After a pause
//! the next caller becomes the probe (half-open): its success closes the breaker, its failure opens it for another pause.
//! The edge cases:
//!
//! - A caller that goes away drops its [`Permit`] undecided. That says nothing about the target, so it counts
//!   neither way; an undecided probe makes room for the next one.
//! - A probe keeps all others back until it is decided, at most for as long as its caller says that it may take: a target
//!   that is silent is asked once, and not again and again. Where calls are of many kinds and nobody can say
//!   ([`Breaker::try_acquire`]), that is a second, so that one slow call to a target that is well again does not shut
//!   everybody else out.
//! - A result that arrives after the breaker has moved on (a slow call from before it opened) is ignored: it
//!   describes a state of the target that has been judged already.
//! - Somebody else may see the target answer again, such as a health check: it ends the pause, and the next caller is the
//!   probe.
//! - The same target may have a breaker in every replica. Each says what it found out by itself ([`Breaker::news`]) and
//!   takes in what the others did ([`Breaker::hear`]); how word gets around, and whether the replicas agree on one probe
//!   ([`Permit::is_probe`], [`Permit::postpone`]), is their owners' affair.
//!
//! The rules are in [`machine`], a plain state machine that is handed the time; this file makes it shareable.

mod machine;
mod news;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use machine::{Admission, Machine, PROBE_PATIENCE};
pub use news::{News, Verdict};

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// `false`: it counts, and never opens. Default true.
    pub enabled: bool,
    /// Failures in a row that open it; 0 counts as 1. Default 5.
    pub failure_threshold: u32,
    /// The pause before a probe is let through. Default 60 s.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
    /// The share of failures that opens it too; absent: only failures in a row do.
    pub failure_rate: Option<FailureRate>,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { enabled: true, failure_threshold: 5, open_for: Duration::from_secs(60), failure_rate: None }
    }
}

/// The share of failed calls that opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailureRate {
    /// Failures in a hundred calls. Default 50.
    pub percent: u8,
    /// Over which time. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// How many calls must have been decided in that time, so that a few unlucky ones do not open it. Default 20.
    pub min_calls: u32,
}

impl Default for FailureRate {
    fn default() -> Self {
        Self { percent: 50, window: Duration::from_secs(30), min_calls: 20 }
    }
}

/// Whether calls go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Every call goes through.
    Closed,
    /// No call goes through.
    Open,
    /// The pause is over: one call goes through to see.
    HalfOpen,
}

impl BreakerState {
    /// The value of the gauge `vx11_circuit_breaker_state`: 0 closed, 1 open, 2 half-open.
    pub fn number(self) -> u8 {
        match self {
            Self::Closed => 0,
            Self::Open => 1,
            Self::HalfOpen => 2,
        }
    }

    /// The word that the API uses: `closed`, `open` or `half_open`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A breaker at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSnapshot {
    /// Whether calls go through.
    pub state: BreakerState,
    /// Failures since the last success.
    pub failure_count: u32,
    /// When a call last failed.
    pub last_failure: Option<SystemTime>,
    /// How long until a probe is let through, while open.
    pub retry_after: Option<Duration>,
}

/// The call was refused because the breaker is open, or because its probe is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("circuit breaker is open; retry after {} ms", .retry_after.as_millis())]
pub struct Open {
    /// How long until it is worth asking again.
    pub retry_after: Duration,
}

/// One target's breaker. A clone is the same breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    machine: Arc<Mutex<Machine>>,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        Self { machine: Arc::new(Mutex::new(Machine::new(config, Instant::now()))) }
    }

    /// Asks to make one call. The call's outcome goes to the permit.
    pub fn try_acquire(&self) -> Result<Permit, Open> {
        self.try_acquire_within(PROBE_PATIENCE)
    }

    /// Asks to make one call that takes no longer than `limit`. The call's outcome goes to the permit.
    pub fn try_acquire_within(&self, limit: Duration) -> Result<Permit, Open> {
        let mut machine = self.lock();
        let admission = machine.admit(limit, Instant::now())?;
        Ok(Permit { breaker: self.clone(), admission, is_probe: machine.is_half_open(), decided: false })
    }

    /// The target has been seen to answer: where the breaker is open, the next caller becomes the probe now.
    pub fn end_pause(&self) {
        self.lock().end_pause(Instant::now());
    }

    /// What it looks like now.
    pub fn snapshot(&self) -> BreakerSnapshot {
        self.lock().snapshot(Instant::now())
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        // Every transition completes under the lock, so a panicked holder leaves nothing half-done.
        self.machine.lock()
    }
}

/// The right to make one call. Say how it went; dropping it undecided counts neither way.
#[derive(Debug)]
#[must_use = "the call's outcome must be reported"]
pub struct Permit {
    breaker: Breaker,
    admission: Admission,
    is_probe: bool,
    decided: bool,
}

impl Permit {
    /// Whether the call is the one that shows if the target is well again.
    pub fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// The call is not made, because somebody else makes the probe: there is none here until `wait` is over.
    pub fn postpone(mut self, wait: Duration) {
        self.decided = true;
        self.breaker.lock().postpone(self.admission, wait, Instant::now());
    }

    /// The call succeeded. `true` when this closed the breaker.
    pub fn success(mut self) -> bool {
        self.decided = true;
        self.breaker.lock().success(self.admission, Instant::now())
    }

    /// The call failed. `true` when this opened the breaker.
    pub fn failure(mut self) -> bool {
        self.decided = true;
        self.breaker.lock().failure(self.admission, Instant::now())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.decided {
            self.breaker.lock().abandon(self.admission, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(open_for: Duration) -> Breaker {
        Breaker::new(BreakerConfig { failure_threshold: 1, open_for, ..BreakerConfig::default() })
    }

    #[test]
    fn an_open_breaker_refuses_and_says_when_to_come_back() {
        let breaker = breaker(Duration::from_secs(60));
        assert!(breaker.try_acquire().expect("closed").failure(), "the first failure opens it");

        let refused = breaker.try_acquire().expect_err("open");
        assert!(refused.retry_after > Duration::from_secs(50), "{refused}");
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.failure_count), (BreakerState::Open, 1));
        assert!(snapshot.last_failure.is_some());
    }

    #[test]
    fn a_pause_that_is_ended_lets_one_probe_through_and_nothing_more() {
        let breaker = breaker(Duration::from_secs(60));
        breaker.end_pause();
        assert_eq!(breaker.snapshot().state, BreakerState::Closed, "there is no pause to end");
        breaker.try_acquire().expect("closed").failure();

        breaker.end_pause();
        assert_eq!(breaker.snapshot().state, BreakerState::HalfOpen);
        let probe = breaker.try_acquire().expect("the probe");
        breaker.end_pause();
        breaker.try_acquire().expect_err("one probe at a time");
        assert!(probe.failure(), "this opens it for another pause");
        breaker.try_acquire().expect_err("open");
    }

    #[test]
    fn one_that_is_off_counts_and_never_opens() {
        let breaker = Breaker::new(BreakerConfig { enabled: false, failure_threshold: 1, ..BreakerConfig::default() });
        for _ in 0..3 {
            assert!(!breaker.try_acquire().expect("closed").failure());
        }
        assert!(!breaker.hear(1, Verdict::Open(Duration::from_secs(60))), "nor at the word of others");
        assert_eq!((breaker.snapshot().state, breaker.snapshot().failure_count), (BreakerState::Closed, 3));
    }

    #[test]
    fn a_cancelled_probe_makes_room_for_the_next() {
        let breaker = breaker(Duration::ZERO);
        breaker.try_acquire().expect("closed").failure();

        let probe = breaker.try_acquire().expect("the pause is over");
        breaker.try_acquire().expect_err("one probe at a time");
        drop(probe);
        assert!(breaker.try_acquire().expect("the probe was given up").success(), "this closes it");
        assert_eq!(breaker.snapshot().state, BreakerState::Closed);
    }

    #[test]
    fn exactly_one_of_many_threads_gets_the_probe() {
        let breaker = breaker(Duration::ZERO);
        breaker.try_acquire().expect("closed").failure();

        let permits: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| breaker.try_acquire())).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(permits.iter().filter(|permit| permit.is_ok()).count(), 1);
    }
}
