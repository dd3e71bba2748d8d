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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    #[derive(Clone, Debug)]
    enum Step {
        Ask,
        /// Decide one of the calls under way (index modulo their number).
        Decide(usize, Outcome),
        Wait(Duration),
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Outcome {
        Success,
        Failure,
        Abandoned,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let outcome = prop_oneof![Just(Outcome::Success), Just(Outcome::Failure), Just(Outcome::Abandoned)];
        let step = prop_oneof![
            4 => Just(Step::Ask),
            3 => (any::<usize>(), outcome).prop_map(|(call, outcome)| Step::Decide(call, outcome)),
            2 => (0..6_000u64).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        ];
        prop::collection::vec(step, 0..200)
    }

    fn config(failure_threshold: u32, failure_rate: Option<FailureRate>) -> BreakerConfig {
        BreakerConfig { failure_threshold, open_for: PAUSE, failure_rate, ..BreakerConfig::default() }
    }

    #[test]
    fn a_large_share_of_failures_opens_it_though_never_in_a_row() {
        let start = Instant::now();
        let rate = FailureRate { percent: 50, window: Duration::from_secs(10), min_calls: 6 };
        let mut machine = Machine::new(config(100, Some(rate)), start);
        let mut decide = |failed: bool, at: Instant| {
            let admission = machine.admit(PROBE_PATIENCE, at).expect("not open");
            if failed { machine.failure(admission, at) } else { machine.success(admission, at) }
        };
        for _ in 0..2 {
            assert!(!decide(false, start) && !decide(true, start), "too few calls to judge");
        }
        let much_later = start + Duration::from_secs(11);
        for _ in 0..2 {
            assert!(!decide(false, much_later) && !decide(true, much_later), "the old ones are forgotten");
        }
        assert!(!decide(false, much_later));
        assert!(decide(true, much_later), "three of six");
        let after = much_later + PAUSE;
        assert!(decide(false, after), "the probe closes it");
        assert!(!decide(true, after), "with a clean slate");
    }

    #[test]
    fn a_probe_is_the_only_one_until_it_is_decided_or_its_own_limit_has_passed() {
        let start = Instant::now();
        let mut machine = Machine::new(config(1, None), start);
        let call = machine.admit(PROBE_PATIENCE, start).expect("closed");
        assert!(machine.failure(call, start));
        let limit = Duration::from_secs(15);
        let asked = start + PAUSE;
        let probe = machine.admit(limit, asked).expect("the pause is over");
        for second in 0..15 {
            let refused = machine.admit(limit, asked + Duration::from_secs(second)).expect_err("a probe is under way");
            assert!(refused.retry_after <= PROBE_PATIENCE, "it may be decided any moment");
        }
        machine.abandon(probe, asked + PROBE_PATIENCE);
        let probe = machine.admit(limit, asked + PROBE_PATIENCE).expect("the one before was given up");
        machine.admit(limit, asked + PROBE_PATIENCE + limit).expect("the limit has passed");
        assert!(machine.success(probe, asked + PROBE_PATIENCE + limit), "and it still decides");
    }

    proptest! {
        #[test]
        fn the_rate_opens_it_exactly_when_enough_calls_and_too_many_failures_are_in_the_window(
            percent in 1u8..=100,
            min_calls in 1u32..12,
            calls in prop::collection::vec((any::<bool>(), 0u64..4_000), 1..60),
        ) {
            let start = Instant::now();
            let rate = FailureRate { percent, window: Duration::from_secs(10), min_calls };
            let mut machine = Machine::new(config(u32::MAX, Some(rate)), start);
            let (mut at, mut history) = (Duration::ZERO, Vec::new());
            for (failed, pause_ms) in calls {
                at += Duration::from_millis(pause_ms);
                history.push((at.as_secs(), failed));
                let recent: Vec<_> = history.iter().filter(|(second, _)| at.as_secs() - second < 10).collect();
                let failures = recent.iter().filter(|(_, failed)| *failed).count();
                let exceeded = recent.len() >= min_calls as usize && failures * 100 >= recent.len() * usize::from(percent);
                let now = start + at;
                let admission = machine.admit(PROBE_PATIENCE, now).expect("closed so far");
                let opened = if failed { machine.failure(admission, now) } else { machine.success(admission, now) };
                prop_assert_eq!(opened, failed && exceeded);
                if opened {
                    break;
                }
            }
        }
    }

    /// The rules said once more, from the history instead of counters: results since the breaker last closed, and
    /// when it last opened.
    #[derive(Default)]
    struct Model {
        now: Duration,
        /// Failures and successes of this closed period, in order of arrival; carried over are the failures before it.
        results: Vec<Outcome>,
        opened_at: Option<Duration>,
        /// Probes under way since then, and until when the newest keeps others back.
        probes: Vec<usize>,
        patience_ends: Duration,
    }

    impl Model {
        fn admits(&self) -> bool {
            match self.opened_at {
                None => true,
                Some(at) => self.now >= at + PAUSE && self.now >= self.patience_ends,
            }
        }

        fn failures_in_a_row(&self) -> usize {
            self.results.iter().rev().take_while(|result| **result == Outcome::Failure).count()
        }
    }

    proptest! {
        #[test]
        fn it_admits_exactly_what_the_rules_admit(threshold in 1u32..5, steps in steps()) {
            let start = Instant::now();
            let mut machine = Machine::new(config(threshold, None), start);
            let mut model = Model::default();
            // Calls under way: their admission, their number, and whether they were admitted in the present period.
            let mut calls: Vec<(Admission, usize, usize)> = Vec::new();
            let (mut number, mut period) = (0, 0);

            for step in steps {
                let now = start + model.now;
                match step {
                    Step::Ask => {
                        let admitted = machine.admit(PROBE_PATIENCE, now);
                        prop_assert_eq!(admitted.is_ok(), model.admits());
                        if let Ok(admission) = admitted {
                            number += 1;
                            if model.opened_at.is_some() {
                                model.probes.push(number);
                                model.patience_ends = model.now + PROBE_PATIENCE;
                                period += 1;
                            }
                            calls.push((admission, number, period));
                        }
                    }
                    Step::Decide(_, _) if calls.is_empty() => {}
                    Step::Decide(which, outcome) => {
                        let (admission, number, of_period) = calls.swap_remove(which % calls.len());
                        let is_probe = model.probes.contains(&number);
                        let counts = is_probe || (model.opened_at.is_none() && of_period == period);
                        let changed = match outcome {
                            Outcome::Success => machine.success(admission, now),
                            Outcome::Failure => machine.failure(admission, now),
                            Outcome::Abandoned => { machine.abandon(admission, now); false }
                        };
                        if !counts {
                            prop_assert!(!changed);
                            continue;
                        }
                        if outcome == Outcome::Abandoned {
                            if is_probe {
                                model.patience_ends = model.now;
                            }
                            continue;
                        }
                        model.results.push(outcome);
                        let opens = outcome == Outcome::Failure
                            && (is_probe || model.failures_in_a_row() >= threshold as usize);
                        let closes = outcome == Outcome::Success && is_probe;
                        prop_assert_eq!(changed, opens || closes);
                        if opens {
                            model.opened_at = Some(model.now);
                            model.probes.clear();
                        }
                        if closes {
                            model.opened_at = None;
                            model.probes.clear();
                            period += 1;
                        }
                    }
                    Step::Wait(time) => model.now += time,
                }
                let snapshot = machine.snapshot(start + model.now);
                prop_assert_eq!(snapshot.failure_count as usize, model.failures_in_a_row());
                prop_assert_eq!(snapshot.state == BreakerState::Closed, model.opened_at.is_none());
            }
        }
    }
}
