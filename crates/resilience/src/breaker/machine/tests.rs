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
