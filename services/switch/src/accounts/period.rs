//! The times that limits are for: fixed windows of UTC, so that what was reserved in one is settled in the same one.
//!
//! A window that slides would let less through at its edges, but then a late settlement has no place that it belongs
//! to; with fixed ones every token is counted in exactly one window, and a reset is a time that callers can be told.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use vx11_contracts::identity::BudgetPeriod;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// How long a limit's window is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Period {
    Minute,
    Day,
    /// Of the calendar.
    Month,
    /// One window for ever.
    Total,
}

/// A window, in Unix milliseconds; the end does not belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

impl Window {
    /// A window that no time is in.
    pub(crate) const EMPTY: Self = Self { start_ms: 0, end_ms: 0 };

    /// Whether `at_ms` is in it.
    pub(crate) const fn has(self, at_ms: i64) -> bool {
        self.start_ms <= at_ms && at_ms < self.end_ms
    }
}

impl Period {
    /// The window that `at_ms` is in.
    pub(crate) fn window(self, at_ms: i64) -> Window {
        let fixed = |length: i64| {
            let start_ms = at_ms - at_ms.rem_euclid(length);
            Window { start_ms, end_ms: start_ms.saturating_add(length) }
        };
        match self {
            Self::Minute => fixed(MINUTE_MS),
            Self::Day => fixed(DAY_MS),
            // A time that no calendar knows has days instead.
            Self::Month => month(at_ms).unwrap_or_else(|| fixed(DAY_MS)),
            Self::Total => Window { start_ms: i64::MIN, end_ms: i64::MAX },
        }
    }

    /// The period as it stands in names.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

impl From<BudgetPeriod> for Period {
    fn from(period: BudgetPeriod) -> Self {
        match period {
            BudgetPeriod::Day => Self::Day,
            BudgetPeriod::Month => Self::Month,
            BudgetPeriod::Total => Self::Total,
        }
    }
}

fn month(at_ms: i64) -> Option<Window> {
    let date = Timestamp::from_millisecond(at_ms).ok()?.to_zoned(TimeZone::UTC).date().first_of_month();
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp().as_millisecond());
    Some(Window { start_ms: midnight(date)?, end_ms: midnight(date.checked_add(1.month()).ok()?)? })
}

/// Now, in Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().expect("a time").as_millisecond()
    }

    #[test]
    fn windows_begin_and_end_with_their_minute_day_and_month() {
        let at = ms("2024-02-29T13:45:59.999Z");
        for (period, start, end) in [
            (Period::Minute, "2024-02-29T13:45:00Z", "2024-02-29T13:46:00Z"),
            (Period::Day, "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
            (Period::Month, "2024-02-01T00:00:00Z", "2024-03-01T00:00:00Z"),
        ] {
            let window = period.window(at);
            assert_eq!(window, Window { start_ms: ms(start), end_ms: ms(end) });
            assert!(window.has(at) && window.has(window.start_ms) && !window.has(window.end_ms));
        }
        assert!(Period::Total.window(at).has(0) && !Window::EMPTY.has(0));
    }
}
