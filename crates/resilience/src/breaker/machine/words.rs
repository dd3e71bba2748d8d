//! What a breaker tells the others of its target, and what it takes from them.

use std::time::{Duration, Instant};

use super::{Admission, Machine, Phase};
use crate::breaker::news::{News, Verdict};

/// How long it is news that a target is well. When it could not be told in that time, the others have found out
/// themselves, or something else.
const FRESH: Duration = Duration::from_secs(5);

impl Machine {
    pub(in crate::breaker) fn news(&self, now: Instant) -> Option<News> {
        let age = now.saturating_duration_since(self.untold_since?);
        let verdict = match self.phase {
            Phase::Open { until } if now < until => Verdict::Open(until - now),
            Phase::Closed if age < FRESH => Verdict::Closed,
            _ => return None,
        };
        Some(News { verdict, age, generation: self.generation })
    }

    pub(in crate::breaker) fn told(&mut self, news: News, word: u64) {
        self.last_word = Some(word);
        if news.generation == self.generation {
            self.untold_since = None;
        }
    }

    /// `true` when this opened or closed the breaker.
    pub(in crate::breaker) fn hear(&mut self, word: u64, verdict: Verdict, now: Instant) -> bool {
        // What it knows itself is newer, and will be told.
        if !self.config.enabled || self.last_word == Some(word) || self.news(now).is_some() {
            return false;
        }
        self.last_word = Some(word);
        match (verdict, &mut self.phase) {
            (Verdict::Open(left), _) if left.is_zero() => false,
            (Verdict::Open(left), Phase::Open { until }) => {
                *until = (*until).max(now + left.min(self.config.open_for));
                false
            }
            (Verdict::Open(left), _) => {
                self.open(now, left.min(self.config.open_for));
                true
            }
            (Verdict::Closed, Phase::Closed) => false,
            (Verdict::Closed, _) => {
                self.close(now);
                true
            }
        }
    }

    /// Somebody else makes the probe: the next one here is due when `wait` is over.
    pub(in crate::breaker) fn postpone(&mut self, admission: Admission, wait: Duration, now: Instant) {
        if self.is_current(admission) && self.is_half_open() {
            self.phase = Phase::HalfOpen { next_probe: now + wait.min(self.config.open_for) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::{BreakerConfig, BreakerState, PROBE_PATIENCE};

    const SECOND: Duration = Duration::from_secs(1);

    fn machine(now: Instant) -> Machine {
        Machine::new(BreakerConfig { failure_threshold: 1, open_for: 10 * SECOND, ..BreakerConfig::default() }, now)
    }

    fn opened(now: Instant) -> Machine {
        let mut machine = machine(now);
        let call = machine.admit(PROBE_PATIENCE, now).expect("closed");
        assert!(machine.failure(call, now));
        machine
    }

    #[test]
    fn what_one_finds_out_the_other_does_and_closes_again_with_it() {
        let start = Instant::now();
        let (mut one, mut other) = (opened(start), machine(start));
        let news = one.news(start + SECOND).expect("it opened by itself");
        assert_eq!((news.verdict, news.age), (Verdict::Open(9 * SECOND), SECOND));
        one.told(news, 1);
        assert_eq!(one.news(start + SECOND), None, "told once");
        assert!(other.hear(1, news.verdict, start + SECOND) && !other.hear(1, news.verdict, start + SECOND));
        assert_eq!(other.news(start + SECOND), None, "hearsay is not passed on");
        assert!(other.admit(PROBE_PATIENCE, start + 9 * SECOND).is_err());

        let later = start + 10 * SECOND;
        let probe = other.admit(PROBE_PATIENCE, later).expect("the pause is over");
        assert!(other.success(probe, later));
        let news = other.news(later).expect("it closed by itself");
        assert!(!one.hear(1, Verdict::Open(9 * SECOND), later), "its own word comes back");
        assert!(one.hear(2, news.verdict, later));
        assert_eq!(one.snapshot(later).state, BreakerState::Closed);
        assert_eq!(one.snapshot(later).failure_count, 0);
    }

    #[test]
    fn its_own_findings_come_before_older_words() {
        let start = Instant::now();
        let mut machine = opened(start);
        assert!(!machine.hear(7, Verdict::Closed, start), "what it found out was not told yet");
        let news = machine.news(start).expect("still news");
        machine.told(news, 8);
        assert!(machine.hear(7, Verdict::Closed, start), "said after it was told");
    }

    #[test]
    fn nobody_pauses_longer_at_the_word_of_others_than_its_own_settings_say() {
        let start = Instant::now();
        let mut machine = machine(start);
        assert!(machine.hear(1, Verdict::Open(3600 * SECOND), start));
        assert!(machine.admit(PROBE_PATIENCE, start + 9 * SECOND).is_err());
        assert!(machine.admit(PROBE_PATIENCE, start + 10 * SECOND).is_ok());
        assert!(
            !machine.hear(1, Verdict::Open(3590 * SECOND), start + 10 * SECOND),
            "the same word does not count twice"
        );
    }

    #[test]
    fn a_result_from_before_the_word_says_nothing() {
        let start = Instant::now();
        let mut machine = machine(start);
        let call = machine.admit(PROBE_PATIENCE, start).expect("closed");
        assert!(machine.hear(1, Verdict::Open(SECOND), start));
        assert!(!machine.success(call, start));
        assert_eq!(machine.snapshot(start).state, BreakerState::Open);
    }

    #[test]
    fn old_news_is_no_news() {
        let start = Instant::now();
        let mut machine = opened(start);
        assert_eq!(machine.news(start + 10 * SECOND), None, "the pause is over");
        let probe = machine.admit(PROBE_PATIENCE, start + 10 * SECOND).expect("the pause is over");
        assert_eq!(machine.news(start + 10 * SECOND), None, "a probe says nothing yet");
        machine.success(probe, start + 10 * SECOND);
        assert_eq!(machine.news(start + 15 * SECOND), None);
    }

    #[test]
    fn a_postponed_probe_is_due_again_after_the_wait() {
        let start = Instant::now();
        let mut machine = opened(start);
        let due = start + 10 * SECOND;
        let probe = machine.admit(PROBE_PATIENCE, due).expect("the pause is over");
        machine.postpone(probe, SECOND / 2, due);
        assert!(machine.admit(PROBE_PATIENCE, due + SECOND / 4).is_err());
        assert!(machine.admit(PROBE_PATIENCE, due + SECOND / 2).is_ok());
    }
}
