use std::cell::RefCell;

use super::*;
use crate::domain::rejection::Rejection;
use crate::wire::Untranslatable;

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
    let call = async |target: &Target, _: Turn| {
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
    let call = async |_: &Target, _: Turn| {
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
    let (result, asked) = play_at(&targets, 2, vec![Err(Failure::new(Outcome::Timeout, "")), Ok("hello")], None).await;
    assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 2]));
}

#[tokio::test]
async fn a_dead_key_makes_room_for_the_next_at_once() {
    let rotated = |status, key| Failure { key: Some(key), other_key: Some(key + 1), ..http(status) };
    let script = vec![Err(rotated(401, 0)), Err(rotated(429, 1)), Err(http(403)), Ok("hello")];
    let (result, asked) = play_at(&targets(2), 0, script, None).await;
    assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 0, 0, 1]));
}

#[tokio::test]
async fn keys_whose_rest_is_short_are_not_gone_around_for_ever() {
    let limited = |key: usize| Failure { key: Some(key), other_key: Some(1 - key), ..http(429) };
    let script = vec![Err(limited(0)), Err(limited(1)), Ok("hello")];
    let (result, asked) = play_at(&targets(2), 0, script, None).await;
    assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 0, 1]));
}

#[tokio::test]
async fn only_the_first_call_of_a_target_counts_as_a_request() {
    let turns = RefCell::new(Vec::new());
    let script = RefCell::new(vec![Err(http(503)), Err(http(503)), Ok("hello")].into_iter());
    let retries = Retries { policy: &policy(1), budget: |_: &Target, _: &Failure| true, jitter: || 0.5 };
    let call = async |target: &Target, turn: Turn| {
        turns.borrow_mut().push((target.provider, turn));
        script.borrow_mut().next().expect("as many as are asked")
    };
    first_answer(&targets(2), None, retries, call).await.expect("an answer");
    assert_eq!(turns.into_inner(), [(0, Turn::First), (0, Turn::Again), (1, Turn::First)]);
}

#[tokio::test]
async fn the_pause_before_a_retry_is_no_work() {
    let policy = RetryPolicy { base: Duration::from_millis(5), ..policy(1) };
    let script = RefCell::new(vec![Err(http(503)), Ok("hello")].into_iter());
    let retries = Retries { policy: &policy, budget: |_: &Target, _: &Failure| true, jitter: || 1.0 };
    let call = async |_: &Target, _: Turn| script.borrow_mut().next().expect("as many as are asked");
    let tried = first_answer(&targets(1), None, retries, call).await.expect("an answer").tried;
    assert!(tried[0].pause >= policy.base && tried[1].pause.is_zero());
    assert_eq!(time_of(&tried), tried[0].pause + tried[0].elapsed + tried[1].elapsed);
}

#[tokio::test]
async fn a_larger_one_that_could_not_answer_says_why() {
    let too_long = || Failure { rejection: Some(Rejection::ContextLength), ..http(400) };
    let mut targets = targets(3);
    targets[2].larger = true;
    let reason = async |failures: Vec<Failure>| {
        let script = failures.into_iter().map(Err).collect();
        play_at(&targets, 0, script, None).await.0.expect_err("nobody answers").reason
    };
    assert!(
        matches!(reason(vec![too_long(), http(503)]).await, Reason::ProviderError(refusal) if refusal.status == 503)
    );
    assert_eq!(reason(vec![http(503), too_long(), open(7)]).await, Reason::AllOpen(Duration::from_secs(7)));
    assert_eq!(reason(vec![too_long(), Failure::new(Outcome::Timeout, "")]).await, Reason::OutOfTime);
    for hopeless in [Failure::new(Outcome::MissingApiKey, ""), too_long()] {
        let reason = reason(vec![http(503), too_long(), hopeless]).await;
        assert!(matches!(reason, Reason::Refused(refusal) if refusal.status == 400));
    }
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
    for status in [400, 413, 422] {
        let (result, asked) = play(vec![Err(http(status)), Ok("unused")], None).await;
        assert_eq!(asked, 1);
        assert!(matches!(result.expect_err("refused").reason, Reason::Refused(refusal) if refusal.status == status));
    }
}

#[tokio::test]
async fn a_model_that_one_provider_does_not_have_another_may() {
    let said = br#"{"error":{"message":"no such model"}}"#;
    let missing = |body: Option<&'static [u8]>| {
        let failure = http(404);
        let refusal = failure.refusal.map(|refusal| Box::new(Refusal { body: body.map(Into::into), ..*refusal }));
        Failure { refusal, ..http(404) }
    };
    let (result, asked) = play(vec![Err(missing(Some(said))), Ok("hello")], None).await;
    assert_eq!((result.expect("an answer").answer, asked), ("hello", 2));
    let told = async |others: Vec<Failure>| reason(others.into_iter().map(Err).collect()).await;
    assert!(
        matches!(told(vec![missing(Some(said)), missing(Some(b"{}"))]).await, Reason::ProviderError(refusal) if refusal.body.as_deref() == Some(said)),
        "of the first choice"
    );
    assert!(
        matches!(told(vec![missing(Some(said)), http(503)]).await, Reason::ProviderError(refusal) if refusal.status == 503)
    );
    assert_eq!(told(vec![missing(Some(said)), open(7)]).await, Reason::AllOpen(Duration::from_secs(7)));
    assert_eq!(told(vec![missing(Some(said)), http(401)]).await, Reason::CredentialsExhausted);
    assert_eq!(told(vec![missing(None)]).await, Reason::Exhausted, "a page says nothing of the model");
}

#[tokio::test]
async fn what_one_account_may_not_spend_at_once_another_may() {
    let too_much = |status| Failure { rejection: Some(Rejection::Allowance), other_key: Some(1), ..http(status) };
    for status in [413, 429] {
        let (result, asked) = play_at(&targets(2), 2, vec![Err(too_much(status)), Ok("hello")], None).await;
        assert_eq!((result.expect("an answer").answer, asked), ("hello", vec![0, 1]), "at once");
        let told = reason(vec![Err(too_much(status)), Err(too_much(413))]).await;
        assert!(matches!(told, Reason::Refused(refusal) if refusal.status == status), "of the first choice");
    }
    assert!(matches!(reason(vec![Err(too_much(413)), Err(http(503))]).await, Reason::ProviderError(_)));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_paid_for_once() {
    let too_large = Failure::new(Outcome::AnswerTooLarge, "");
    let (result, asked) = play(vec![Err(too_large), Ok("unused")], None).await;
    assert_eq!((asked, result.expect_err("no answer").reason), (1, Reason::Exhausted));
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
    let cannot = || Failure::untranslatable(Untranslatable { field: "n".to_owned(), problem: "no word".to_owned() });
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
