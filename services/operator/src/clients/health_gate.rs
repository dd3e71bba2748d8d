//! Whether a service is worth asking. Requests never wait for a health check: a background task asks, and they read
//! what it found.
//!
//! Healthy or not, what was found holds for one time to live (30 s by default). A request whose call got no answer
//! marks the service unhealthy at once, so that no other request waits for it within that time.

use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// What is known of a service's health.
#[derive(Debug)]
pub(crate) struct HealthGate {
    state: Mutex<State>,
    marked: Notify,
    ttl: Duration,
}

#[derive(Clone, Copy, Debug)]
struct State {
    healthy: bool,
    /// Counts the marks, so that a check begun before a mark cannot undo it.
    marks: u64,
    /// Checks since the start, until the first good one.
    startup_checks: u32,
}

/// A check under way.
#[derive(Debug)]
pub(crate) struct Check {
    marks: u64,
}

/// What ends a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The next check is due.
    CheckDue,
    /// A request's call got no answer; what that says holds for one time to live from now.
    Marked,
}

/// While a service has never been seen healthy, at start-up, it is asked this often: it may only be slower to start.
const STARTUP_INTERVAL: Duration = Duration::from_secs(1);
/// How long that goes on.
const STARTUP_CHECKS: u32 = 30;

impl HealthGate {
    /// A gate that believes in its service until told otherwise; what it is told holds for `ttl`.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { state: Mutex::new(State { healthy: true, marks: 0, startup_checks: 0 }), marked: Notify::new(), ttl }
    }

    /// What is known now.
    pub(crate) fn is_healthy(&self) -> bool {
        self.lock().healthy
    }

    /// A call got no answer. Answers whether that was news.
    pub(crate) fn mark_unhealthy(&self) -> bool {
        let was_healthy = {
            let mut state = self.lock();
            state.marks += 1;
            std::mem::replace(&mut state.healthy, false)
        };
        if was_healthy {
            self.marked.notify_one();
        }
        was_healthy
    }

    /// A check begins; hand what is answered to [`HealthGate::end_check`].
    pub(crate) fn begin_check(&self) -> Check {
        Check { marks: self.lock().marks }
    }

    /// A check ends; answers what is new about it.
    pub(crate) fn end_check(&self, check: Check, healthy: bool) -> Option<bool> {
        let mut state = self.lock();
        state.startup_checks = if healthy { STARTUP_CHECKS } else { state.startup_checks.saturating_add(1) };
        let outdated = state.marks != check.marks;
        if outdated || state.healthy == healthy {
            return None;
        }
        state.healthy = healthy;
        Some(healthy)
    }

    /// Waits until the next check is due, or a request makes news.
    pub(crate) async fn wait(&self) -> Wake {
        let pause = if self.lock().startup_checks < STARTUP_CHECKS { STARTUP_INTERVAL } else { self.ttl };
        match tokio::time::timeout(pause, self.marked.notified()).await {
            Ok(()) => Wake::Marked,
            Err(_) => Wake::CheckDue,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_began_before_a_failure_does_not_undo_it() {
        let gate = HealthGate::new(Duration::from_secs(30));
        let early = gate.begin_check();
        assert!(gate.mark_unhealthy());
        assert!(!gate.mark_unhealthy(), "known already");
        assert_eq!(gate.end_check(early, true), None);
        assert!(!gate.is_healthy());
        assert_eq!(gate.end_check(gate.begin_check(), true), Some(true));
        assert!(gate.is_healthy());
    }

    #[tokio::test(start_paused = true)]
    async fn a_marked_switch_is_asked_again_after_one_time_to_live() {
        let gate = HealthGate::new(Duration::from_secs(30));
        gate.end_check(gate.begin_check(), true);
        let begun = tokio::time::Instant::now();
        let mark = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            gate.mark_unhealthy();
        };
        let (wake, ()) = tokio::join!(gate.wait(), mark);
        assert_eq!((wake, begun.elapsed().as_secs()), (Wake::Marked, 20));
        assert_eq!((gate.wait().await, begun.elapsed().as_secs()), (Wake::CheckDue, 50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_switch_that_is_slow_to_start_is_asked_every_second_at_first() {
        let gate = HealthGate::new(Duration::from_secs(30));
        gate.end_check(gate.begin_check(), false);
        let begun = tokio::time::Instant::now();
        assert_eq!((gate.wait().await, begun.elapsed().as_secs()), (Wake::CheckDue, 1));
    }
}
