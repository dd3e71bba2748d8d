//! The one way VX11 writes a time: RFC 3339, UTC, milliseconds, fixed width, so that text order is time order.

use std::cell::Cell;

use jiff::Timestamp;

/// The current time, such as `2026-11-21T04:05:06.789Z`.
pub fn now() -> String {
    render(Timestamp::now())
}

/// Renders `at` with exactly three fractional digits, rounded down.
pub fn render(at: Timestamp) -> String {
    let (second, nanosecond) = match at.subsec_nanosecond() {
        before @ ..0 => (at.as_second() - 1, before + 1_000_000_000),
        after => (at.as_second(), after),
    };
    let mut text = String::with_capacity("0000-00-00T00:00:00.000Z".len());
    push_second(&mut text, second);
    text.push('.');
    let millisecond = nanosecond.unsigned_abs() / 1_000_000;
    text.extend([millisecond / 100, millisecond / 10 % 10, millisecond % 10].map(digit));
    text.push('Z');
    text
}

fn digit(value: u32) -> char {
    char::from_digit(value, 10).unwrap_or('0')
}

thread_local! {
    /// The last second that was rendered: the next time mostly differs in its milliseconds only.
    static LAST: Cell<(i64, [u8; SECOND])> = const { Cell::new((i64::MIN, [0; SECOND])) };
}

const SECOND: usize = "0000-00-00T00:00:00".len();

/// Appends the second since 1970, up to its fraction.
fn push_second(text: &mut String, second: i64) {
    let (last, rendered) = LAST.get();
    if last == second
        && let Ok(rendered) = str::from_utf8(&rendered)
    {
        return text.push_str(rendered);
    }
    let whole = Timestamp::from_second(second).unwrap_or(Timestamp::MIN).to_string();
    let whole = whole.trim_end_matches('Z');
    // Years of more than four digits are wider.
    if let Ok(rendered) = whole.as_bytes().try_into() {
        LAST.set((second, rendered));
    }
    text.push_str(whole);
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

    #[test]
    fn every_second_is_rendered_as_itself() {
        let rendered = [1_600, 1_601, -1, 1_602, 253_402_207_199_999, 60_000, -62_167_219_200_001]
            .map(|at| render(Timestamp::from_millisecond(at).expect("in range")));
        let expected = [
            "1970-01-01T00:00:01.600Z",
            "1970-01-01T00:00:01.601Z",
            "1969-12-31T23:59:59.999Z",
            "1970-01-01T00:00:01.602Z",
            "9999-12-30T21:59:59.999Z",
            "1970-01-01T00:01:00.000Z",
            "-000001-12-31T23:59:59.999Z",
        ];
        assert_eq!(rendered, expected);
    }
}
