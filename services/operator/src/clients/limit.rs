//! How long a call may take, and what its failure says about the service that was called.
//!
//! A breaker or the health gate must only hear what is the service's own doing: else one caller in a hurry, or with a
//! request that nobody could serve, would take the service away from all others.

use std::time::Duration;

use vx11_chassis::RequestContext;
use vx11_chassis::client::CallError;

/// Silence for less than this says nothing about a service; its health must answer within it too.
const FAIR: Duration = Duration::from_secs(2);

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    /// Longest wait.
    pub(crate) wait: Duration,
    /// Whether silence for that long is the service's fault.
    fair: bool,
}

impl Limit {
    /// A wait of `wait` for a service that is given `own` where its caller is in no hurry.
    pub(crate) fn new(wait: Duration, own: Duration) -> Self {
        let wait = wait.min(own);
        Self { wait, fair: wait >= own.min(FAIR) }
    }

    /// `own`, or what is left of the caller's deadline where that is less.
    pub(crate) fn within(context: &RequestContext, own: Duration) -> Self {
        Self::new(context.deadline.map_or(own, |deadline| deadline.remaining()), own)
    }
}

/// What a failed call says about the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It works: it refused what it was asked.
    Well,
    /// It answers, and not as it should.
    Unwell,
    /// It does not answer.
    Gone,
    /// Nothing: it had no fair chance.
    Unknown,
}

/// What `error` says about the service that was given `limit`.
pub(crate) fn verdict(error: &CallError, limit: Limit) -> Verdict {
    match error {
        CallError::Timeout if !limit.fair => Verdict::Unknown,
        error if error.is_unreachable() => Verdict::Gone,
        CallError::Status { status: 408 | 429, .. } => Verdict::Unwell,
        CallError::Status { status: 400..500, .. } => Verdict::Well,
        _ => Verdict::Unwell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Duration = Duration::from_secs(30);

    #[test]
    fn only_a_fair_wait_is_held_against_a_service() {
        let waited = |ms| verdict(&CallError::Timeout, Limit::new(Duration::from_millis(ms), OWN));
        assert_eq!([waited(0), waited(1999)], [Verdict::Unknown; 2]);
        assert_eq!([waited(2000), waited(60_000)], [Verdict::Gone; 2]);
        let short = Duration::from_millis(100);
        assert_eq!(verdict(&CallError::Timeout, Limit::new(short, short)), Verdict::Gone, "its own limit");
    }

    #[test]
    fn a_refused_request_is_not_held_against_a_service() {
        let answered = |status| verdict(&CallError::Status { status, body: None }, Limit::new(OWN, OWN));
        assert_eq!([answered(400), answered(413), answered(422)], [Verdict::Well; 3]);
        assert_eq!([answered(429), answered(500), answered(503)], [Verdict::Unwell; 3]);
    }
}
