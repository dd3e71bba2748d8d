//! A retry budget: retries may add a share to the load, never multiply it.
//!
//! When a target fails, retrying each call doubles its load just then. The budget allows retries up to a ratio of
//! the requests of the last ten seconds, plus a small floor so that a quiet caller can retry at all (the rule of
//! Finagle and Linkerd).

use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use crate::ring::Ring;

/// Over which requests and retries are compared.
const WINDOW: Duration = Duration::from_secs(10);

/// How many retries are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryBudgetConfig {
    /// Retries for each request, 0–1. Default 0.2.
    pub ratio: f64,
    /// Retries a second that are allowed in any case. Default 3.
    pub min_per_second: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self { ratio: 0.2, min_per_second: 3 }
    }
}

/// One target's budget.
#[derive(Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    window: Mutex<Ring<Slot>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    requests: u32,
    retries: u32,
}

impl RetryBudget {
    /// A budget with nothing spent.
    pub fn new(config: RetryBudgetConfig) -> Self {
        Self { config, window: Mutex::new(Ring::over(WINDOW, Instant::now())) }
    }

    /// Counts a request, not its retries.
    pub fn record_request(&self) {
        self.record_request_at(Instant::now());
    }

    /// Takes one retry from the budget; `false` when it is spent: return the failure instead.
    #[must_use = "a retry without budget must not be made"]
    pub fn try_retry(&self) -> bool {
        self.try_retry_at(Instant::now())
    }

    fn record_request_at(&self, now: Instant) {
        self.window().at(now).requests += 1;
    }

    fn try_retry_at(&self, now: Instant) -> bool {
        let mut window = self.window();
        window.at(now);
        let requests: u32 = window.slots().iter().map(|slot| slot.requests).sum();
        let retries: u32 = window.slots().iter().map(|slot| slot.retries).sum();
        let floor = f64::from(self.config.min_per_second) * WINDOW.as_secs_f64();
        let allowed = f64::from(retries) + 1.0 <= floor + self.config.ratio * f64::from(requests);
        if allowed {
            window.at(now).retries += 1;
        }
        allowed
    }

    fn window(&self) -> MutexGuard<'_, Ring<Slot>> {
        self.window.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries_granted(budget: &RetryBudget, now: Instant) -> usize {
        std::iter::repeat_with(|| budget.try_retry_at(now)).take(10_000).take_while(|granted| *granted).count()
    }

    #[test]
    fn a_quiet_caller_can_retry_up_to_the_floor() {
        let budget = RetryBudget::new(RetryBudgetConfig::default());
        assert_eq!(retries_granted(&budget, Instant::now()), 30);
    }

    #[test]
    fn a_busy_caller_can_retry_its_share() {
        let budget = RetryBudget::new(RetryBudgetConfig { ratio: 0.2, min_per_second: 0 });
        let now = Instant::now();
        for _ in 0..1000 {
            budget.record_request_at(now);
        }
        assert_eq!(retries_granted(&budget, now), 200);
    }

    #[test]
    fn both_requests_and_retries_are_forgotten_after_the_window() {
        let budget = RetryBudget::new(RetryBudgetConfig { ratio: 1.0, min_per_second: 0 });
        let start = Instant::now();
        budget.record_request_at(start);
        let within = start + Duration::from_secs(9);
        assert!(budget.try_retry_at(within));
        assert!(!budget.try_retry_at(within));

        let after = start + Duration::from_secs(60);
        assert!(!budget.try_retry_at(after), "the old request gives nothing any more");
        budget.record_request_at(after);
        assert!(budget.try_retry_at(after), "the old retry costs nothing any more");
    }
}
