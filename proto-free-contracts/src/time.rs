//! The one way VX11 writes a time: RFC 3339, UTC, milliseconds, fixed width, so that text order is time order.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};

/// The current time, such as `2026-11-21T04:05:06.789Z`.
pub fn now() -> String {
    render(Timestamp::now())
}

/// Renders `at` with exactly three fractional digits, rounded down.
pub fn render(at: Timestamp) -> String {
    let down = TimestampRound::new().smallest(Unit::Millisecond).mode(RoundMode::Floor);
    format!("{:.3}", at.round(down).unwrap_or(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_fixed_width_so_that_text_order_is_time_order() {
        let early = render(Timestamp::from_millisecond(1_000).expect("in range"));
        let late = render(Timestamp::from_microsecond(1_000_999).expect("in range"));
        assert_eq!(early, "1970-01-01T00:00:01.000Z");
        assert_eq!(late, "1970-01-01T00:00:01.000Z");
    }
}
