//! Asks one target after the other until one answers.
//!
//! It decides who is asked next and what is left to say when nobody answered; how a provider is asked is the caller's
//! affair. A target that may answer a moment later is asked again, as [`RetryPolicy`] says; one that was silent is not, nor
//! is its provider under another model. A request that is itself at fault is not carried from provider to provider: the
//! first refusal is the answer, but for one that is too long, which goes to the targets for longer requests. One that
//! cannot be said in a target's wire is carried on, because the next one's may have the words; it is refused where nobody
//! could be asked for that reason.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use vx11_resilience::Deadline;

use super::outcome::{Health, Outcome};
use super::rejection::Rejection;
use super::retry::{Next, RetryPolicy};
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
    /// Its `retry-after-ms`, as it stands.
    pub(crate) retry_after_ms: Option<String>,
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
    /// What the provider has against the request itself.
    pub(crate) rejection: Option<Rejection>,
    /// How long the provider asks to be left alone; where it was not asked, when it can be.
    pub(crate) retry_after: Option<Duration>,
    /// Whether another of its keys can be used at once.
    pub(crate) other_key: bool,
    /// The cause, for the log.
    pub(crate) cause: String,
}

impl Failure {
    /// A failure that says about the provider what its outcome usually says.
    pub(crate) fn new(outcome: Outcome, cause: impl Into<String>) -> Self {
        let health = outcome.health();
        let cause = cause.into();
        Self { outcome, health, refusal: None, rejection: None, retry_after: None, other_key: false, cause }
    }

    /// What is asked cannot be said in the target's wire. The refusal is in the pivot, as a provider's would be.
    pub(crate) fn untranslatable(Untranslatable { field, problem }: Untranslatable) -> Self {
        let message = format!("{field}: {problem}");
        let error =
            json!({"message": message, "type": "invalid_request_error", "param": field, "code": "untranslatable"});
        let body = json!({"error": error}).to_string().into();
        let refusal =
            Refusal { status: 400, body: Some(body), retry_after: None, retry_after_ms: None, request_id: None };
        Self { refusal: Some(Box::new(refusal)), ..Self::new(Outcome::Untranslatable, message) }
    }
}

/// How one call went. A target that was retried has one for each call.
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
    /// Every call, in order; the last one was answered.
    pub(crate) tried: Vec<Tried>,
}

/// Nobody answered.
#[derive(Clone, Debug)]
pub(crate) struct Unanswered {
    /// Every call, in order.
    pub(crate) tried: Vec<Tried>,
    /// What the caller is to be told.
    pub(crate) reason: Reason,
}

/// Why nobody answered, as far as the caller needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The request is at fault, as the provider says that was asked last.
    Refused(Box<Refusal>),
    /// The last provider that was asked failed with an error of its own.
    ProviderError(Box<Refusal>),
    /// Time ran out.
    OutOfTime,
    /// Every breaker is open; the first one lets a call through after this time.
    AllOpen(Duration),
    /// Every provider is at the limit of its keys; the first one can be used after this time.
    AllLimited(Duration),
    /// The gateway itself holds back: every provider has as many calls as it takes.
    Overloaded(Duration),
    /// Every provider refused the gateway's keys.
    CredentialsExhausted,
    /// Everything was tried.
    Exhausted,
}

/// How the search goes on after a failure.
pub(crate) struct Retries<'a, B, J> {
    /// The rules.
    pub(crate) policy: &'a RetryPolicy,
    /// Takes one retry of this target from its budget, after this failure; `false` where none is left.
    pub(crate) budget: B,
    /// A number from 0 to 1, another one each time.
    pub(crate) jitter: J,
}

/// Asks `targets` in order, within `deadline`; those for longer requests only when the request was too long for one.
pub(crate) async fn first_answer<A>(
    targets: &[Target],
    deadline: Option<Deadline>,
    retries: Retries<'_, impl Fn(&Target, &Failure) -> bool, impl Fn() -> f64>,
    call: impl AsyncFn(&Target) -> Result<A, Failure>,
) -> Result<Answered<A>, Unanswered> {
    let mut tried = Vec::with_capacity(1);
    let mut left_to_say = LeftToSay::default();
    let mut silent = Vec::new();
    let mut too_long: Option<Box<Refusal>> = None;
    'targets: for (index, target) in targets.iter().enumerate() {
        if target.larger != too_long.is_some() || silent.contains(&target.provider) {
            continue;
        }
        let mut retried = 0;
        loop {
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
            let left = deadline.map(|deadline| deadline.remaining());
            match (retries.policy.next(&failure, retried, left, (retries.jitter)()), failure.refusal.as_ref()) {
                (Next::Rotate, _) => continue,
                (Next::Retry(wait), _) if (retries.budget)(target, &failure) => {
                    retried += 1;
                    tokio::time::sleep(wait).await;
                    continue;
                }
                (Next::Answer, Some(refusal)) => {
                    return Err(Unanswered { tried, reason: Reason::Refused(refusal.clone()) });
                }
                (Next::Larger, Some(refusal)) => {
                    too_long = Some(refusal.clone());
                    continue 'targets;
                }
                (Next::Retry(_) | Next::Elsewhere | Next::Answer | Next::Larger, _) => {}
            }
            if outcome == Outcome::Timeout {
                silent.push(target.provider);
            }
            left_to_say.hear(failure);
            continue 'targets;
        }
    }
    let reason = match too_long {
        Some(refusal) => Reason::Refused(refusal),
        None => left_to_say.reason(),
    };
    Err(Unanswered { tried, reason })
}

/// What the failures add up to for the caller.
#[derive(Debug, Default)]
struct LeftToSay {
    /// The last provider that was asked and had something to say about itself.
    last: Option<(Outcome, Option<Box<Refusal>>)>,
    credentials: bool,
    /// What the first one has against the request whose wire has no words for it.
    untranslatable: Option<Box<Refusal>>,
    open: Option<Duration>,
    resting: Option<Duration>,
    overloaded: Option<Duration>,
}

impl LeftToSay {
    fn hear(&mut self, failure: Failure) {
        let earlier = |known: Option<Duration>| known.into_iter().chain(failure.retry_after).min();
        match failure.outcome {
            Outcome::CircuitOpen => self.open = earlier(self.open),
            Outcome::KeysResting => self.resting = earlier(self.resting),
            Outcome::Overloaded => self.overloaded = earlier(self.overloaded),
            Outcome::MissingApiKey => {}
            Outcome::Untranslatable => self.untranslatable = self.untranslatable.take().or(failure.refusal),
            outcome if outcome.is_credentials() => self.credentials = true,
            outcome => self.last = Some((outcome, failure.refusal)),
        }
    }

    fn reason(self) -> Reason {
        match self.last {
            Some((Outcome::Timeout, _)) => return Reason::OutOfTime,
            Some((outcome, Some(refusal))) if is_worth_passing_on(outcome) => return Reason::ProviderError(refusal),
            Some(_) => return Reason::Exhausted,
            None => {}
        }
        match (self.overloaded, self.resting, self.open) {
            (Some(retry_after), _, _) => Reason::Overloaded(retry_after),
            (None, Some(retry_after), _) => Reason::AllLimited(retry_after),
            (None, None, Some(retry_after)) => Reason::AllOpen(retry_after),
            (None, None, None) if self.credentials => Reason::CredentialsExhausted,
            (None, None, None) => self.untranslatable.map_or(Reason::Exhausted, Reason::Refused),
        }
    }
}

/// Whether a provider's status means to the caller what it meant to us.
fn is_worth_passing_on(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Http(408 | 409 | 429 | 500..=599))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn targets(count: usize) -> Vec<Target> {
        let target = |provider| Target { provider, model: "m".into(), label: "m".into(), larger: false };
        (0..count).map(target).collect()
    }

    fn policy(attempts: u32) -> RetryPolicy {
        RetryPolicy { attempts, base: Duration::ZERO, longest: Duration::from_secs(1) }
    }

    fn http(status: u16) -> Failure {
        let refusal = Refusal { status, body: None, retry_after: None, retry_after_ms: None, request_id: None };
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
        let (result, asked) = play_at(&targets, 0, script, deadline).await;
        (result, asked.len())
    }

    /// Plays one answer after the other, and says at which providers.
    async fn play_at(
        targets: &[Target],
        attempts: u32,
        script: Vec<Result<&'static str, Failure>>,
        deadline: Option<Deadline>,
    ) -> (Result<Answered<&'static str>, Unanswered>, Vec<usize>) {
        let script = RefCell::new(script.into_iter());
        let asked = RefCell::new(Vec::new());
        let retries = Retries { policy: &policy(attempts), budget: |_: &Target, _: &Failure| true, jitter: || 0.5 };
        let call = async |target: &Target| {
            asked.borrow_mut().push(target.provider);
            script.borrow_mut().next().expect("as many as are asked")
        };
        let result = first_answer(targets, deadline, retries, call).await;
        (result, asked.into_inner())
    }

    #[tokio::test]
    async fn what_may_pass_is_asked_again_on_the_same_target_before_the_next() {
        let script = vec![Err(http(503)), Err(http(500)), Err(http(429)), Err(http(502)), Ok("hello")];
        let (result, asked) = play_at(&targets(2), 2, script, None).await;
        assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 0, 0, 1, 1]));
    }

    #[tokio::test]
    async fn without_budget_there_is_no_retry() {
        let retries = Retries { policy: &policy(2), budget: |_: &Target, _: &Failure| false, jitter: || 0.5 };
        let asked = RefCell::new(0);
        let call = async |_: &Target| {
            *asked.borrow_mut() += 1;
            Err::<(), _>(http(503))
        };
        first_answer(&targets(2), None, retries, call).await.expect_err("nobody answers");
        assert_eq!(asked.into_inner(), 2, "each target once");
    }

    #[tokio::test]
    async fn a_silent_provider_is_not_asked_again_under_another_model() {
        let mut targets = targets(3);
        targets[1].provider = 0;
        let (result, asked) =
            play_at(&targets, 2, vec![Err(Failure::new(Outcome::Timeout, "")), Ok("hello")], None).await;
        assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 2]));
    }

    #[tokio::test]
    async fn a_dead_key_makes_room_for_the_next_at_once() {
        let rotated = |status| Failure { other_key: true, ..http(status) };
        let script = vec![Err(rotated(401)), Err(rotated(429)), Err(http(403)), Ok("hello")];
        let (result, asked) = play_at(&targets(2), 0, script, None).await;
        assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 0, 0, 1]));
    }

    #[tokio::test]
    async fn a_request_that_is_too_long_goes_to_the_targets_for_longer_ones_only() {
        let too_long = || Failure { rejection: Some(Rejection::ContextLength), ..http(400) };
        let mut targets = targets(4);
        targets[2].larger = true;
        targets[3].larger = true;
        let (result, asked) = play_at(&targets, 2, vec![Err(too_long()), Err(too_long()), Ok("hello")], None).await;
        assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 2, 3]));

        let script = (0..3).map(|_| Err(too_long())).collect();
        let refused = play_at(&targets, 2, script, None).await.0.expect_err("too long for all");
        assert!(matches!(refused.reason, Reason::Refused(refusal) if refusal.status == 400));

        let (result, asked) = play_at(&targets, 0, vec![Err(http(503)), Err(http(503))], None).await;
        assert!(result.is_err());
        assert_eq!(asked, [0, 1], "a failure is no reason to ask a larger one");
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
        assert!(
            matches!(reason(vec![Err(http(429)), Err(http(401))]).await, Reason::ProviderError(refusal) if refusal.status == 429),
            "our key is no news to the caller"
        );
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
    async fn without_a_key_that_works_the_caller_hears_so() {
        assert_eq!(reason(vec![Err(http(401)), Err(http(403))]).await, Reason::CredentialsExhausted);
        assert_eq!(reason(vec![Err(Failure::new(Outcome::KeysDead, ""))]).await, Reason::CredentialsExhausted);
        let resting = Failure { retry_after: Some(Duration::from_secs(3)), ..Failure::new(Outcome::KeysResting, "") };
        assert_eq!(reason(vec![Err(resting), Err(http(401))]).await, Reason::AllLimited(Duration::from_secs(3)));
    }

    #[tokio::test]
    async fn nobody_is_asked_after_the_deadline() {
        let (result, asked) = play(vec![Ok("unused")], Some(Deadline::after(Duration::ZERO))).await;
        assert_eq!((result.expect_err("too late").reason, asked), (Reason::OutOfTime, 0));
    }
}
