//! Asks one target after the other until one answers.
//!
//! It decides who is asked next and what is left to say when nobody answered; how a provider is asked is the caller's
//! affair. Each target is asked once. A request that is itself at fault is not carried from provider to provider: the
//! first refusal is the answer. One that cannot be said in a target's wire is carried on, because the next one's may have
//! the words; it is refused where nobody could be asked for that reason.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use vx11_resilience::Deadline;

use super::outcome::{Health, Outcome};
use super::routing::Target;
use crate::wire::Untranslatable;

/// A provider's own error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its HTTP status.
    pub(crate) status: u16,
    /// Its body, where that is JSON with an `error` in it.
    pub(crate) body: Option<Bytes>,
    /// Its `Retry-After`, as it stands.
    pub(crate) retry_after: Option<String>,
    /// Its `x-request-id`.
    pub(crate) request_id: Option<String>,
}

/// One target did not answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the call went.
    pub(crate) outcome: Outcome,
    /// What that says about the provider.
    pub(crate) health: Health,
    /// What the provider answered instead.
    pub(crate) refusal: Option<Box<Refusal>>,
    /// When its breaker lets a call through again.
    pub(crate) retry_after: Option<Duration>,
    /// The cause, for the log.
    pub(crate) cause: String,
}

impl Failure {
    /// A failure that says about the provider what its outcome usually says.
    pub(crate) fn new(outcome: Outcome, cause: impl Into<String>) -> Self {
        Self { outcome, health: outcome.health(), refusal: None, retry_after: None, cause: cause.into() }
    }

    /// What is asked cannot be said in the target's wire. The refusal is in the pivot, as a provider's would be.
    pub(crate) fn untranslatable(Untranslatable { field, problem }: Untranslatable) -> Self {
        let message = format!("{field}: {problem}");
        let error =
            json!({"message": message, "type": "invalid_request_error", "param": field, "code": "untranslatable"});
        let body = json!({"error": error}).to_string().into();
        let refusal = Refusal { status: 400, body: Some(body), retry_after: None, request_id: None };
        Self { refusal: Some(Box::new(refusal)), ..Self::new(Outcome::Untranslatable, message) }
    }
}

/// How one target was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tried {
    /// Its place among the targets.
    pub(crate) target: usize,
    /// How it went.
    pub(crate) outcome: Outcome,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// An answer, and the way to it.
#[derive(Debug)]
pub(crate) struct Answered<A> {
    /// The answer.
    pub(crate) answer: A,
    /// Every target that was tried, in order; the last one answered.
    pub(crate) tried: Vec<Tried>,
}

/// Nobody answered.
#[derive(Debug)]
pub(crate) struct Unanswered {
    /// Every target that was tried, in order.
    pub(crate) tried: Vec<Tried>,
    /// What the caller is to be told.
    pub(crate) reason: Reason,
}

/// Why nobody answered, as far as the caller needs to know.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The request is at fault, as the provider says that was asked last.
    Refused(Box<Refusal>),
    /// The last provider that was asked failed with an error of its own.
    ProviderError(Box<Refusal>),
    /// Time ran out.
    OutOfTime,
    /// Every breaker is open; the first one lets a call through after this time.
    AllOpen(Duration),
    /// Everything was tried.
    Exhausted,
}

/// Asks `targets` in order, within `deadline`.
pub(crate) async fn first_answer<A>(
    targets: &[Target],
    deadline: Option<Deadline>,
    call: impl AsyncFn(&Target) -> Result<A, Failure>,
) -> Result<Answered<A>, Unanswered> {
    let mut tried = Vec::with_capacity(1);
    let mut last = None;
    let mut untranslatable = None;
    let mut retry_after: Option<Duration> = None;
    for (index, target) in targets.iter().enumerate() {
        if deadline.is_some_and(|deadline| deadline.is_expired()) {
            return Err(Unanswered { tried, reason: Reason::OutOfTime });
        }
        let started = Instant::now();
        let result = call(target).await;
        let outcome = result.as_ref().map_or_else(|failure| failure.outcome, |_| Outcome::Success);
        tried.push(Tried { target: index, outcome, elapsed: started.elapsed() });
        let failure = match result {
            Ok(answer) => return Ok(Answered { answer, tried }),
            Err(failure) => failure,
        };
        retry_after = retry_after.into_iter().chain(failure.retry_after).min();
        match failure.refusal {
            Some(refusal) if outcome.is_callers_fault() => {
                return Err(Unanswered { tried, reason: Reason::Refused(refusal) });
            }
            Some(refusal) if outcome == Outcome::Untranslatable => _ = untranslatable.get_or_insert(refusal),
            refusal if outcome.was_asked() => last = Some((outcome, refusal)),
            _ => {}
        }
    }
    let reason = match (last, retry_after) {
        (None, None) if let Some(refusal) = untranslatable => Reason::Refused(refusal),
        (Some((Outcome::Timeout, _)), _) => Reason::OutOfTime,
        (Some((outcome, Some(refusal))), _) if is_worth_passing_on(outcome) => Reason::ProviderError(refusal),
        (None, Some(retry_after)) => Reason::AllOpen(retry_after),
        _ => Reason::Exhausted,
    };
    Err(Unanswered { tried, reason })
}

/// Whether a provider's status means to the caller what it meant to us. Refused credentials do not: they are ours.
fn is_worth_passing_on(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Http(408 | 409 | 429 | 500..=599))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn targets(count: usize) -> Vec<Target> {
        (0..count).map(|provider| Target { provider, model: "m".into(), label: "m".into() }).collect()
    }

    fn http(status: u16) -> Failure {
        let refusal = Refusal { status, body: None, retry_after: None, request_id: None };
        Failure { refusal: Some(Box::new(refusal)), ..Failure::new(Outcome::Http(status), "") }
    }

    fn open(seconds: u64) -> Failure {
        Failure { retry_after: Some(Duration::from_secs(seconds)), ..Failure::new(Outcome::CircuitOpen, "") }
    }

    /// Plays one answer after the other, and says how many were asked for.
    async fn play(
        script: Vec<Result<&'static str, Failure>>,
        deadline: Option<Deadline>,
    ) -> (Result<Answered<&'static str>, Unanswered>, usize) {
        let targets = targets(script.len());
        let script = RefCell::new(script.into_iter());
        let result =
            first_answer(&targets, deadline, async |_| script.borrow_mut().next().expect("one a target")).await;
        let left = script.into_inner().len();
        (result, targets.len() - left)
    }

    async fn reason(script: Vec<Result<&'static str, Failure>>) -> Reason {
        play(script, None).await.0.expect_err("nobody answers").reason
    }

    #[tokio::test]
    async fn the_first_answer_ends_the_search() {
        let (result, asked) = play(vec![Err(http(503)), Ok("hello"), Ok("unused")], None).await;
        let answered = result.expect("an answer");
        assert_eq!((answered.answer, asked), ("hello", 2));
        let outcomes: Vec<Outcome> = answered.tried.iter().map(|tried| tried.outcome).collect();
        assert_eq!(outcomes, [Outcome::Http(503), Outcome::Success]);
    }

    #[tokio::test]
    async fn a_fault_of_the_callers_is_not_carried_further() {
        for status in [400, 404, 413, 422] {
            let (result, asked) = play(vec![Err(http(status)), Ok("unused")], None).await;
            assert_eq!(asked, 1);
            assert!(
                matches!(result.expect_err("refused").reason, Reason::Refused(refusal) if refusal.status == status)
            );
        }
    }

    #[tokio::test]
    async fn anything_else_is_tried_elsewhere() {
        let failures = [401, 402, 403, 408, 409, 429, 500, 502, 503, 504, 302, 418].map(http).into_iter();
        let others =
            [Outcome::Timeout, Outcome::Connect, Outcome::Transport, Outcome::InvalidAnswer, Outcome::MissingApiKey];
        for failure in failures.chain(others.map(|outcome| Failure::new(outcome, ""))) {
            let (result, asked) = play(vec![Err(failure), Ok("hello")], None).await;
            assert_eq!((result.expect("an answer").answer, asked), ("hello", 2));
        }
    }

    #[tokio::test]
    async fn what_one_wire_cannot_say_another_may() {
        let cannot =
            || Failure::untranslatable(Untranslatable { field: "n".to_owned(), problem: "no word".to_owned() });
        let (result, asked) = play(vec![Err(cannot()), Ok("hello")], None).await;
        assert_eq!((result.expect("an answer").answer, asked), ("hello", 2));
        let refused = reason(vec![Err(cannot()), Err(cannot())]).await;
        assert!(matches!(refused, Reason::Refused(refusal) if refusal.status == 400));
        assert!(matches!(reason(vec![Err(cannot()), Err(http(503))]).await, Reason::ProviderError(_)));
        assert_eq!(reason(vec![Err(cannot()), Err(open(7))]).await, Reason::AllOpen(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn the_last_providers_own_error_is_passed_on_where_it_means_something() {
        assert!(
            matches!(reason(vec![Err(http(500)), Err(http(429))]).await, Reason::ProviderError(refusal) if refusal.status == 429)
        );
        assert!(
            matches!(reason(vec![Err(http(503)), Err(open(9))]).await, Reason::ProviderError(refusal) if refusal.status == 503)
        );
        assert_eq!(reason(vec![Err(http(429)), Err(http(401))]).await, Reason::Exhausted, "our key, not the caller's");
        assert_eq!(reason(vec![Err(http(429)), Err(Failure::new(Outcome::Connect, ""))]).await, Reason::Exhausted);
        assert_eq!(reason(vec![Err(Failure::new(Outcome::Timeout, ""))]).await, Reason::OutOfTime);
        assert_eq!(reason(vec![Err(Failure::new(Outcome::MissingApiKey, ""))]).await, Reason::Exhausted);
    }

    #[tokio::test]
    async fn with_every_breaker_open_the_caller_hears_when_the_first_one_closes() {
        let script = vec![Err(open(30)), Err(Failure::new(Outcome::MissingApiKey, "")), Err(open(7))];
        assert_eq!(reason(script).await, Reason::AllOpen(Duration::from_secs(7)));
    }

    #[tokio::test]
    async fn nobody_is_asked_after_the_deadline() {
        let (result, asked) = play(vec![Ok("unused")], Some(Deadline::after(Duration::ZERO))).await;
        assert_eq!((result.expect_err("too late").reason, asked), (Reason::OutOfTime, 0));
    }
}
