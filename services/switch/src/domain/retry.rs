//! What follows from one failed call: the same target once more, another one, or the caller's answer.

use std::time::{Duration, SystemTime};

use jiff::fmt::rfc2822;

use super::failover::Failure;
use super::outcome::{Health, Outcome};
use super::rejection::Rejection;

/// What to do after a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The same target at once, with another key.
    Rotate,
    /// The same target after this time, if the budget has a retry left.
    Retry(Duration),
    /// The next target.
    Elsewhere,
    /// A target for longer requests; without one the failure is the answer.
    Larger,
    /// The failure is the caller's answer.
    Answer,
}

/// How often and how soon one target is asked again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RetryPolicy {
    /// Calls after the first one.
    pub(crate) attempts: u32,
    /// The longest pause before the first retry; it doubles with each.
    pub(crate) base: Duration,
    /// The longest pause, and the longest `Retry-After` that is waited for.
    pub(crate) longest: Duration,
}

impl RetryPolicy {
    /// What follows from `failure`, after that many retries of its target, with `left` until the caller's deadline.
    /// `jitter`, 0 to 1, is the part of the pause that is taken ("full jitter", AWS Architecture Blog, 2015).
    pub(crate) fn next(&self, failure: &Failure, retries: u32, left: Option<Duration>, jitter: f64) -> Next {
        match (failure.outcome, failure.rejection) {
            (_, Some(Rejection::ContentPolicy)) => Next::Answer,
            (_, Some(Rejection::ContextLength)) => Next::Larger,
            // Another provider knows nothing of these keys, nor of what their account may spend.
            (_, Some(Rejection::Forbidden | Rejection::Allowance)) => Next::Elsewhere,
            (outcome, None) if outcome.is_callers_fault() => Next::Answer,
            // Nobody else may be asked without it.
            (Outcome::Unapproved, None) => Next::Answer,
            // It is paid for, and another one would be as large.
            (Outcome::AnswerTooLarge, None) => Next::Answer,
            (Outcome::Http(401 | 402 | 403 | 429), None) if failure.other_key.is_some() => Next::Rotate,
            // It was its caller that was in a hurry, and will be as much the next time.
            (Outcome::Connect, None) if failure.health == Health::Unknown => Next::Elsewhere,
            (outcome, None) if is_passing(outcome) && retries < self.attempts => {
                let pause =
                    self.base.saturating_mul(1 << retries.min(16)).min(self.longest).mul_f64(jitter.clamp(0.0, 1.0));
                let asked = failure.retry_after.unwrap_or_default();
                let wait = pause.max(asked);
                if asked > self.longest || left.is_some_and(|left| wait >= left) {
                    Next::Elsewhere
                } else {
                    Next::Retry(wait)
                }
            }
            _ => Next::Elsewhere,
        }
    }
}

/// Whether the same provider may answer the same request a moment later, of whose answer nobody has anything yet. One
/// that was silent is not asked again: it would take the rest of the caller's time.
fn is_passing(outcome: Outcome) -> bool {
    use Outcome::{AnswerCut, Connect, Http, StreamCut, Transport};
    matches!(outcome, Http(408 | 409 | 429 | 500..=599) | Transport | AnswerCut | StreamCut | Connect)
}

/// The longest pause that a provider is believed to ask for. Some say when, and not how long, in seconds.
const LONGEST_ASKED: Duration = Duration::from_secs(3600);

/// How long a provider asks to be left alone: `retry-after-ms`, else `retry-after` in seconds or as a date; an hour at
/// most.
pub(crate) fn retry_after(in_ms: Option<&str>, header: Option<&str>, now: SystemTime) -> Option<Duration> {
    let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<f64>().ok());
    let seconds =
        |seconds: f64| (seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(LONGEST_ASKED.as_secs_f64())));
    if let Some(ms) = number(in_ms) {
        return seconds(ms / 1000.0);
    }
    if let Some(said) = number(header) {
        return seconds(said);
    }
    let date = rfc2822::DateTimeParser::new().parse_timestamp(header?.trim()).ok()?;
    // A date that has passed asks for nothing.
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default().min(LONGEST_ASKED))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { attempts: 2, base: Duration::from_millis(100), longest: Duration::from_secs(2) };

    fn failure(outcome: Outcome) -> Failure {
        Failure::new(outcome, "")
    }

    #[test]
    fn what_passes_is_asked_again_twice() {
        let statuses = [408, 409, 429, 500, 502, 503, 504, 529].map(Outcome::Http);
        let broken = [Outcome::Transport, Outcome::AnswerCut, Outcome::StreamCut, Outcome::Connect];
        for outcome in statuses.into_iter().chain(broken) {
            let next = |retries| POLICY.next(&failure(outcome), retries, None, 1.0);
            assert_eq!(next(0), Next::Retry(Duration::from_millis(100)), "{outcome}");
            assert_eq!(next(1), Next::Retry(Duration::from_millis(200)), "{outcome}");
            assert_eq!(next(2), Next::Elsewhere, "{outcome}");
        }
    }

    #[test]
    fn silence_nonsense_and_what_is_not_there_are_left_for_the_next_target() {
        let others = [401, 404].map(Outcome::Http);
        for outcome in [Outcome::Timeout, Outcome::InvalidAnswer, Outcome::Stalled].into_iter().chain(others) {
            assert_eq!(POLICY.next(&failure(outcome), 0, None, 0.5), Next::Elsewhere, "{outcome}");
        }
    }

    #[test]
    fn a_request_at_fault_is_answered_and_one_too_long_goes_to_a_larger_model() {
        for status in [400, 413, 422] {
            assert_eq!(POLICY.next(&failure(Outcome::Http(status)), 0, None, 0.5), Next::Answer);
        }
        let rejected =
            |rejection| Failure { rejection: Some(rejection), other_key: Some(1), ..failure(Outcome::Http(403)) };
        assert_eq!(POLICY.next(&rejected(Rejection::ContentPolicy), 0, None, 0.5), Next::Answer);
        assert_eq!(POLICY.next(&rejected(Rejection::ContextLength), 0, None, 0.5), Next::Larger);
        assert_eq!(POLICY.next(&rejected(Rejection::Forbidden), 0, None, 0.5), Next::Elsewhere);
        assert_eq!(POLICY.next(&rejected(Rejection::Allowance), 0, None, 0.5), Next::Elsewhere);
    }

    #[test]
    fn without_its_approval_nobody_is_asked() {
        assert_eq!(POLICY.next(&failure(Outcome::Unapproved), 0, None, 0.5), Next::Answer);
    }

    #[test]
    fn another_key_is_tried_at_once() {
        for status in [401, 402, 403, 429] {
            let rotated = Failure { other_key: Some(1), ..failure(Outcome::Http(status)) };
            assert_eq!(POLICY.next(&rotated, 2, None, 0.5), Next::Rotate, "{status}");
        }
    }

    #[test]
    fn a_long_retry_after_is_not_waited_for() {
        let asked =
            |seconds| Failure { retry_after: Some(Duration::from_secs(seconds)), ..failure(Outcome::Http(429)) };
        assert_eq!(POLICY.next(&asked(2), 0, None, 0.5), Next::Retry(Duration::from_secs(2)));
        assert_eq!(POLICY.next(&asked(3), 0, None, 0.5), Next::Elsewhere);
        assert_eq!(POLICY.next(&asked(1), 0, Some(Duration::from_millis(900)), 0.5), Next::Elsewhere);
    }

    #[test]
    fn both_headers_are_read() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_770);
        let read = |in_ms, header| retry_after(in_ms, header, now);
        assert_eq!(read(Some("1500"), Some("9")), Some(Duration::from_millis(1500)), "the finer one wins");
        assert_eq!(read(None, Some(" 7 ")), Some(Duration::from_secs(7)));
        assert_eq!(read(Some("soon"), Some("0.5")), Some(Duration::from_millis(500)));
        assert_eq!(read(None, Some("Sun, 06 Nov 1994 08:49:37 GMT")), Some(Duration::from_secs(7)));
        assert_eq!(read(None, Some("Sun, 06 Nov 1994 08:49:20 GMT")), Some(Duration::ZERO));
        for nonsense in [None, Some("-1"), Some("NaN"), Some("soon")] {
            assert_eq!(read(None, nonsense), None, "{nonsense:?}");
        }
        for long in ["10000000000000000000", "1e300", "784111777", "Sat, 06 Nov 2094 08:49:37 GMT"] {
            assert_eq!(read(None, Some(long)), Some(Duration::from_secs(3600)), "{long}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_within_the_deadline_and_at_least_what_was_asked_for(
            retries in 0u32..40,
            asked_ms in prop::option::of(0u64..5_000),
            left_ms in prop::option::of(0u64..5_000),
            jitter in 0.0..1.0f64,
            attempts in 0u32..50,
        ) {
            let policy = RetryPolicy { attempts, ..POLICY };
            let asked = asked_ms.map(Duration::from_millis);
            let left = left_ms.map(Duration::from_millis);
            let failed = Failure { retry_after: asked, ..failure(Outcome::Http(503)) };
            if let Next::Retry(wait) = policy.next(&failed, retries, left, jitter) {
                prop_assert!(retries < attempts);
                prop_assert!(wait <= policy.longest && wait >= asked.unwrap_or_default());
                prop_assert!(left.is_none_or(|left| wait < left));
            }
        }
    }
}
