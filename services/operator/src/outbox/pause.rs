//! How long to wait between attempts.

use std::time::Duration;

/// The longest wait between two.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);
/// How much longer each wait may be than the one before: from 5 seconds to an hour in seven waits.
const FACTOR: u32 = 3;

/// The wait after attempt number `attempt`: anything up to what it may be at most, so that receivers which failed
/// together are not called together. `random` is of 0 to 1.
pub(super) fn before_next(base: Duration, attempt: u32, random: f64) -> Duration {
    let grown = FACTOR.checked_pow(attempt.saturating_sub(1)).and_then(|times| base.checked_mul(times));
    grown.map_or(LONGEST, |most| most.min(LONGEST)).mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_the_first_to_an_hour_and_no_further() {
        let most = |attempt| before_next(Duration::from_secs(5), attempt, 1.0).as_secs();
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 40].map(most), [5, 15, 45, 135, 405, 1215, 3600, 3600, 3600]);
    }

    #[test]
    fn a_wait_is_anything_up_to_its_most() {
        let wait = |random| before_next(Duration::from_secs(5), 2, random);
        assert_eq!([0.0, 0.5, 1.0].map(wait), [0, 7500, 15_000].map(Duration::from_millis));
    }
}
