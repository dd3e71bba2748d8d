//! How many calls a target gets at a time: as many as it bears.
//!
//! Additive increase, multiplicative decrease (Chiu and Jain, 1989; `AIMDLimit` of Netflix's concurrency-limits): each
//! good call of a busy target adds a little, so that a round of calls adds one; a sign of overload takes a tenth away.
//! The calls that were under way when it was taken do not take it again.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// What is left of the limit after a sign of overload.
const DECREASE: f64 = 0.9;
/// How much of the expected duration the newest call makes up.
const NEWEST: f64 = 0.1;

/// Bounds of an adaptive limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmissionConfig {
    /// Calls at a time to begin with. Default 100.
    pub initial: u32,
    /// The fewest it comes down to, at least 1. Default 4.
    pub min: u32,
    /// The most it grows to. Default 1000.
    pub max: u32,
    /// Calls that wait for a place. Default 1000.
    pub queue: usize,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self { initial: 100, min: 4, max: 1000, queue: 1000 }
    }
}

/// What a call that is over says about the target's load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// It was answered in time.
    Fine,
    /// It was turned away, or not answered in time.
    TooMuch,
    /// Nothing.
    Unknown,
}

/// The limit of one target.
#[derive(Debug)]
pub(super) struct Limit {
    config: AdmissionConfig,
    limit: f64,
    in_flight: u32,
    decreased: Option<Instant>,
    expected_seconds: f64,
}

impl Limit {
    pub(super) fn new(config: AdmissionConfig) -> Self {
        let limit = f64::from(config.initial.clamp(config.min.max(1), config.max.max(config.min).max(1)));
        Self { config, limit, in_flight: 0, decreased: None, expected_seconds: 0.0 }
    }

    /// Calls at a time.
    pub(super) fn current(&self) -> u32 {
        self.limit as u32
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Takes a place, where one is free.
    pub(super) fn try_take(&mut self) -> bool {
        let free = self.in_flight < self.current();
        self.in_flight += u32::from(free);
        free
    }

    /// Gives a place back and learns from the call that had it.
    pub(super) fn give_back(&mut self, load: Load, taken: Instant, now: Instant) {
        match load {
            Load::Fine => {
                let seconds = now.saturating_duration_since(taken).as_secs_f64();
                self.expected_seconds += NEWEST * (seconds - self.expected_seconds);
                // A limit that is not used says nothing by not being exceeded.
                if self.in_flight.saturating_mul(2) >= self.current() {
                    self.limit = (self.limit + 1.0 / self.limit).min(f64::from(self.config.max.max(1)));
                }
            }
            Load::TooMuch if self.decreased.is_none_or(|at| taken > at) => {
                self.decreased = Some(now);
                self.limit = (self.limit * DECREASE).max(f64::from(self.config.min.max(1)));
            }
            Load::TooMuch | Load::Unknown => {}
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// How long the last of `waiting` calls waits, as far as is known.
    pub(super) fn expected_wait(&self, waiting: usize) -> Duration {
        let seconds = self.expected_seconds * waiting as f64 / self.limit;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(initial: u32, min: u32, max: u32) -> Limit {
        Limit::new(AdmissionConfig { initial, min, max, queue: 0 })
    }

    #[test]
    fn a_busy_target_that_answers_gets_more_and_an_idle_one_does_not() {
        let (mut limit, now) = (limit(10, 1, 100), Instant::now());
        for _ in 0..100 {
            assert!(limit.try_take());
            limit.give_back(Load::Fine, now, now);
        }
        assert_eq!(limit.current(), 10);
        while limit.try_take() {}
        for _ in 0..5 {
            for _ in 0..10 {
                limit.give_back(Load::Fine, now, now);
                assert!(limit.try_take());
            }
        }
        assert!((13..=15).contains(&limit.current()), "{}", limit.current());
    }

    #[test]
    fn one_wave_of_overload_takes_a_tenth_once() {
        let (mut limit, start) = (limit(100, 4, 100), Instant::now());
        while limit.try_take() {}
        let later = start + Duration::from_secs(1);
        for _ in 0..50 {
            limit.give_back(Load::TooMuch, start, later);
        }
        assert_eq!(limit.current(), 90);
        limit.give_back(Load::TooMuch, later + Duration::from_millis(1), later + Duration::from_secs(1));
        assert_eq!(limit.current(), 81);
    }

    proptest! {
        #[test]
        fn it_stays_within_its_bounds_and_never_exceeds_itself(
            initial in 0u32..50, min in 0u32..20, more in 0u32..50,
            calls in prop::collection::vec((any::<bool>(), 0u8..3), 0..300),
        ) {
            let max = min + more;
            let mut limit = limit(initial, min, max);
            let mut now = Instant::now();
            for (take, load) in calls {
                now += Duration::from_millis(1);
                if take {
                    let before = limit.in_flight();
                    prop_assert_eq!(limit.try_take(), before < limit.current());
                } else if limit.in_flight() > 0 {
                    let load = [Load::Fine, Load::TooMuch, Load::Unknown][usize::from(load)];
                    limit.give_back(load, now, now);
                }
                prop_assert!((min.max(1)..=max.max(1)).contains(&limit.current()));
            }
        }
    }
}
