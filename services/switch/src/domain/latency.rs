//! How slow a target is expected to be: a moving average that jumps up at once and comes down with time.
//!
//! Peak EWMA, as in Finagle's `PeakEwma` and tower's `load::PeakEwma`: a slow answer is believed at once, a fast one
//! bit by bit, and what is not measured for a while is forgotten, so that a target that was slow is tried again.

use std::time::{Duration, Instant};

/// After this time without an answer a third of the estimate is left.
const DECAY: Duration = Duration::from_secs(10);
/// With less of it left than this, which is half a minute without an answer, it is as good as forgotten.
const FORGOTTEN: f64 = 0.05;

/// The expected latency of one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PeakEwma {
    seconds: f64,
    at: Instant,
}

impl PeakEwma {
    /// Nothing is known.
    pub(crate) fn new(now: Instant) -> Self {
        Self { seconds: 0.0, at: now }
    }

    /// Takes in one answer's time.
    pub(crate) fn record(&mut self, latency: Duration, now: Instant) {
        let measured = latency.as_secs_f64();
        self.seconds = if measured > self.seconds {
            measured
        } else {
            let kept = self.kept(now);
            self.seconds * kept + measured * (1.0 - kept)
        };
        self.at = self.at.max(now);
    }

    /// The latency to be expected at `now`; `None` where nothing was measured, or too long ago to say anything.
    pub(crate) fn known(&self, now: Instant) -> Option<Duration> {
        (self.seconds > 0.0 && self.kept(now) >= FORGOTTEN).then(|| self.expected(now))
    }

    /// The latency to be expected at `now`; zero where nothing is known.
    pub(crate) fn expected(&self, now: Instant) -> Duration {
        Duration::from_secs_f64(self.seconds * self.kept(now))
    }

    /// The part of the estimate that is left at `now`.
    fn kept(&self, now: Instant) -> f64 {
        (-now.saturating_duration_since(self.at).as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slow_answer_is_believed_at_once_and_forgotten_with_time() {
        let start = Instant::now();
        let mut ewma = PeakEwma::new(start);
        assert_eq!(ewma.expected(start), Duration::ZERO, "what is not known is worth trying");
        ewma.record(Duration::from_millis(100), start);
        ewma.record(Duration::from_secs(5), start);
        assert_eq!(ewma.expected(start), Duration::from_secs(5));
        assert!(ewma.expected(start + DECAY) < Duration::from_secs(2));
        ewma.record(Duration::from_millis(100), start + DECAY);
        let expected = ewma.expected(start + DECAY);
        assert!(expected > Duration::from_secs(1) && expected < Duration::from_secs(2), "{expected:?}");
        assert_eq!(ewma.known(start + DECAY), Some(expected));
        assert_eq!(ewma.known(start + 5 * DECAY), None, "it may be anything by now");
        assert_eq!(PeakEwma::new(start).known(start), None);
    }

    proptest! {
        #[test]
        fn it_stays_between_nothing_and_the_slowest_answer(answers in prop::collection::vec((0u64..10_000, 0u64..20_000), 1..50)) {
            let mut now = Instant::now();
            let mut ewma = PeakEwma::new(now);
            let slowest = answers.iter().map(|(latency_ms, _)| *latency_ms).max().unwrap_or_default();
            for (latency_ms, pause_ms) in answers {
                now += Duration::from_millis(pause_ms);
                ewma.record(Duration::from_millis(latency_ms), now);
                prop_assert!(ewma.expected(now) <= Duration::from_millis(slowest) + Duration::from_micros(1));
            }
        }
    }
}
