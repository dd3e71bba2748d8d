//! The deadline that travels with a request.
//!
//! Between processes it is the remaining budget in whole milliseconds (header `x-vx11-deadline-ms`), because clocks
//! of two machines need not agree; inside a process it is an instant.

use std::future::Future;
use std::time::{Duration, Instant};

/// The longest budget that is believed; more than any request may take, and small enough to add to an instant.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The moment after which nobody waits for the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

/// The time is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline has passed")]
pub struct DeadlineExceeded;

/// The header was not a number of milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the deadline must be a whole number of milliseconds")]
pub struct BadDeadline;

impl Deadline {
    /// The deadline that is `budget` from now; at most a day.
    pub fn after(budget: Duration) -> Self {
        Self(Instant::now() + budget.min(LONGEST))
    }

    /// Reads the header's value: the remaining budget in milliseconds; `0` has passed already.
    pub fn from_header_ms(value: &str) -> Result<Self, BadDeadline> {
        let value = value.trim();
        // `parse` would take a sign.
        if !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BadDeadline);
        }
        let ms = value.parse().map_err(|_| BadDeadline)?;
        Ok(Self::after(Duration::from_millis(ms)))
    }

    /// What to send to the next process: the remaining milliseconds, rounded down so that it gives up first, but at
    /// least 1. Ask [`Deadline::is_expired`] before sending at all.
    pub fn header_value(&self) -> u64 {
        u64::try_from(self.remaining().as_millis()).unwrap_or(u64::MAX).max(1)
    }

    /// The time that is left; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// Whether it has passed by `now`, for who has looked at the clock already.
    pub fn has_passed_by(&self, now: Instant) -> bool {
        self.0 <= now
    }

    /// Whether it has passed.
    pub fn is_expired(&self) -> bool {
        self.remaining().is_zero()
    }

    /// This deadline, or the one that is `limit` from now when that is earlier: a step's own limit within the whole.
    #[must_use]
    pub fn earlier_of(self, limit: Duration) -> Self {
        self.min(Self::after(limit))
    }

    /// Awaits `future` until the deadline, then drops it, which cancels its work. A future that is ready at once wins
    /// over a deadline that has passed.
    pub async fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, DeadlineExceeded> {
        tokio::time::timeout_at(self.0.into(), future).await.map_err(|_| DeadlineExceeded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_carries_what_is_left() {
        let deadline = Deadline::from_header_ms(" 1500 ").expect("a number");
        let left = deadline.header_value();
        assert!((1..=1500).contains(&left), "{left}");
    }

    #[test]
    fn a_spent_budget_is_expired_and_never_sent_as_zero() {
        let deadline = Deadline::from_header_ms("0").expect("a number");
        assert!(deadline.is_expired());
        assert_eq!(deadline.header_value(), 1);
    }

    #[test]
    fn what_is_not_whole_milliseconds_is_refused() {
        for bad in ["", "soon", "-1", "+1", "1.5", "1s", "99999999999999999999999"] {
            assert_eq!(Deadline::from_header_ms(bad), Err(BadDeadline), "{bad:?}");
        }
    }

    #[test]
    fn an_absurd_budget_does_not_overflow() {
        let day = Deadline::from_header_ms(&u64::MAX.to_string()).expect("a number");
        assert!(day.remaining() <= LONGEST);
        assert!(Deadline::after(Duration::MAX).remaining() <= LONGEST);
    }

    #[test]
    fn a_step_may_be_shorter_than_the_whole_but_never_longer() {
        let whole = Deadline::after(Duration::from_secs(30));
        assert!(whole.earlier_of(Duration::from_secs(5)).remaining() <= Duration::from_secs(5));
        assert_eq!(whole.earlier_of(Duration::from_secs(60)), whole);
    }

    #[tokio::test]
    async fn a_late_future_is_cancelled() {
        let gone = Deadline::after(Duration::from_millis(5));
        assert_eq!(gone.run(std::future::pending::<()>()).await, Err(DeadlineExceeded));
        assert_eq!(Deadline::after(Duration::ZERO).run(async { 7 }).await, Ok(7));
    }
}
