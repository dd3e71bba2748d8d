//! How long the operator's word on a caller is believed.
//!
//! Some seconds, from when it was asked, so that what was revoked is out soon after; and while it does not answer, for a
//! grace: a caller that was known lately is not shut out because the operator is away.

use std::time::{Duration, Instant};

use crate::config::IdentitiesConfig;

/// What the operator said last of a caller is believed until then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::accounts) struct Belief {
    /// When the operator was asked that said so.
    confirmed_at: Instant,
    /// When the key or the token ends by itself.
    ends_at: Option<Instant>,
    until: Instant,
    /// From then on the operator is asked again, beside the requests, which need not wait.
    ask_from: Instant,
}

impl Belief {
    /// The operator has said so, asked at `asked_at`, of something that is good for `left` from then on.
    pub(in crate::accounts) fn confirmed(asked_at: Instant, left: Option<Duration>, config: &IdentitiesConfig) -> Self {
        // What is good for longer than clocks count has no end.
        let ends_at = left.and_then(|left| asked_at.checked_add(left));
        Self::new(asked_at, ends_at, asked_at, config.believed_for)
    }

    /// The operator did not answer `now`: believed for a while more, as long as the grace lasts.
    pub(super) fn prolonged(self, now: Instant, config: &IdentitiesConfig) -> Option<Self> {
        let left = config.grace.checked_sub(now.saturating_duration_since(self.confirmed_at))?;
        let more = Self::new(self.confirmed_at, self.ends_at, now, config.believed_for.min(left));
        more.holds(now).then_some(more)
    }

    /// Whether the operator need not be asked first.
    pub(super) fn holds(&self, now: Instant) -> bool {
        now < self.until
    }

    /// Whether it should be asked beside.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        now >= self.ask_from
    }

    fn new(confirmed_at: Instant, ends_at: Option<Instant>, from: Instant, believed_for: Duration) -> Self {
        let until = from + believed_for;
        let until = ends_at.map_or(until, |ends_at| until.min(ends_at));
        Self { confirmed_at, ends_at, until, ask_from: from + believed_for / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn config() -> IdentitiesConfig {
        IdentitiesConfig { believed_for: 4 * SECOND, grace: 60 * SECOND }
    }

    #[test]
    fn by_default_what_was_revoked_is_out_within_five_seconds() {
        let start = Instant::now();
        let belief = Belief::confirmed(start, None, &IdentitiesConfig::default());
        assert!(belief.holds(start + 3 * SECOND) && !belief.holds(start + 4 * SECOND));
        assert!(!belief.is_due(start + SECOND) && belief.is_due(start + 2 * SECOND));
    }

    #[test]
    fn while_the_operator_is_away_a_caller_stays_known_until_the_grace_is_over_and_no_longer() {
        let start = Instant::now();
        let mut belief = Belief::confirmed(start, None, &config());
        for at in [4, 8, 30, 57] {
            let now = start + at * SECOND;
            belief = belief.prolonged(now, &config()).expect("within the grace");
            assert!(belief.holds(now));
        }
        assert!(belief.holds(start + 59 * SECOND) && !belief.holds(start + 60 * SECOND));
        assert_eq!(belief.prolonged(start + 60 * SECOND, &config()), None);
        let without = IdentitiesConfig { grace: Duration::ZERO, ..config() };
        assert_eq!(Belief::confirmed(start, None, &without).prolonged(start + SECOND, &without), None);
    }

    #[test]
    fn what_ends_by_itself_is_believed_no_longer_away_or_not() {
        let start = Instant::now();
        let belief = Belief::confirmed(start, Some(2 * SECOND), &config());
        assert!(belief.holds(start + SECOND) && !belief.holds(start + 2 * SECOND));
        assert_eq!(belief.prolonged(start + 2 * SECOND, &config()), None);
        assert!(Belief::confirmed(start, Some(Duration::MAX), &config()).holds(start + 3 * SECOND));
    }
}
