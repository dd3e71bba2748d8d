//! The periods that metrics can be asked for.

use jiff::{SignedDuration, Timestamp};

/// `1h`, `6h` or `24h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Period {
    /// The last hour.
    Hour,
    /// The last six hours.
    SixHours,
    /// The last day.
    Day,
}

impl Period {
    /// Reads the query's word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "1h" => Some(Self::Hour),
            "6h" => Some(Self::SixHours),
            "24h" => Some(Self::Day),
            _ => None,
        }
    }

    /// The query's word.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::SixHours => "6h",
            Self::Day => "24h",
        }
    }

    /// The first whole minute of the period that ends at `now`, such as `2026-11-21T04:05`.
    pub(crate) fn first_minute(self, now: Timestamp) -> String {
        let hours = match self {
            Self::Hour => 1,
            Self::SixHours => 6,
            Self::Day => 24,
        };
        let start = now.checked_sub(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MIN);
        let mut text = vx11_contracts::time::render(start);
        text.truncate("2026-11-21T04:05".len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_period_begins_with_a_whole_minute() {
        let now: Timestamp = "2026-11-21T04:05:06.789Z".parse().expect("a time");
        assert_eq!(Period::Hour.first_minute(now), "2026-11-21T03:05");
        assert_eq!(Period::Day.first_minute(now), "2026-11-20T04:05");
    }

    #[test]
    fn other_periods_are_refused() {
        for text in ["", "1H", "2h", "1h ", "24"] {
            assert_eq!(Period::parse(text), None, "{text}");
        }
    }
}
