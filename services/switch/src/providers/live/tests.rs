use vx11_resilience::BreakerState;

use super::*;

const PATTERN: &str = "gpt-*";
const FOR_LONG: Duration = Duration::from_secs(3600);

/// Of a provider whose breakers open with the first failure.
fn live(open_for: Duration) -> Live {
    let mut live = Live::new(&ProviderConfig::default(), RetryConfig::default(), true);
    live.breaker = BreakerConfig { failure_threshold: 1, open_for, ..BreakerConfig::default() };
    live
}

fn ask(live: &Live, name: &str) -> Arc<ModelLive> {
    live.model(&name.into(), &PATTERN.into())
}

fn fail(live: &Live, name: &str) {
    let model = ask(live, name);
    assert!(model.breaker.try_acquire().expect("closed").failure());
    model.failed(Duration::from_secs(1));
}

fn made_up(live: &Live) {
    for number in 0..2 * MOST_IDLE {
        drop(ask(live, &format!("made-up-{number}")));
    }
}

fn state(live: &Live, name: &str) -> Option<BreakerState> {
    let models = live.models();
    let model = models.iter().find(|model| &*model.name == name)?;
    Some(model.breaker.snapshot().state)
}

#[test]
fn names_that_are_made_up_take_only_so_much_room() {
    let live = live(FOR_LONG);
    let held = ask(&live, "under way");
    made_up(&live);
    assert_eq!(live.models().len(), MOST_IDLE + 1);
    assert!(Arc::ptr_eq(&held, &ask(&live, "under way")), "a call to it is to be told apart by nobody else");
}

#[test]
fn they_take_the_place_of_nothing_that_is_worth_remembering() {
    let live = live(FOR_LONG);
    ask(&live, "good").answered(Form::Whole, Duration::from_secs(1));
    fail(&live, "bad");
    made_up(&live);
    assert_eq!(state(&live, "bad"), Some(BreakerState::Open));
    assert_eq!(state(&live, "good"), Some(BreakerState::Closed), "those that were never answered go first");
}

#[test]
fn what_is_used_stays_and_what_is_not_goes() {
    let live = live(FOR_LONG);
    ask(&live, "first");
    for number in 0..2 * MOST_IDLE {
        ask(&live, &format!("made-up-{number}"));
        ask(&live, "first");
    }
    assert!(state(&live, "first").is_some());
    assert!(state(&live, "made-up-0").is_none());
}

#[test]
fn a_probe_to_come_is_forgotten_last() {
    let live = live(Duration::ZERO);
    ask(&live, "good").answered(Form::Whole, Duration::from_secs(1));
    fail(&live, "bad");
    assert_eq!(state(&live, "bad"), Some(BreakerState::HalfOpen));
    for number in 0..2 * MOST_IDLE {
        ask(&live, &format!("other-{number}")).answered(Form::Whole, Duration::from_secs(1));
    }
    assert_eq!((state(&live, "bad"), state(&live, "good")), (Some(BreakerState::HalfOpen), None));
}

#[test]
fn without_a_place_a_name_shares_what_is_known_of_its_label() {
    let live = live(FOR_LONG);
    (0..MOST_IDLE).for_each(|number| fail(&live, &format!("made-up-{number}")));
    let (one, other) = (ask(&live, "one"), ask(&live, "other"));
    assert!(Arc::ptr_eq(&one, &other));
    assert_eq!(&*one.name, PATTERN);
    assert!(!live.hear("heard", 1, Verdict::Open(FOR_LONG)), "nor is hearsay worth more");
    assert_eq!(live.models().iter().filter(|model| model.is_open()).count(), MOST_IDLE);
    assert_eq!(&*live.model(&"own".into(), &"own".into()).name, "own", "one that the configuration has needs no place");
}

#[test]
fn of_a_name_that_is_not_known_only_a_failure_is_heard() {
    let live = live(FOR_LONG);
    assert!(!live.hear("gpt-4", 1, Verdict::Closed));
    assert_eq!(live.models().len(), 0);
    assert!(live.hear("gpt-4", 2, Verdict::Open(FOR_LONG)));
    assert_eq!((state(&live, "gpt-4"), state(&live, "gpt-5")), (Some(BreakerState::Open), None));
}

#[test]
fn what_was_under_way_at_once_is_forgotten_at_once() {
    let live = live(FOR_LONG);
    let held: Vec<_> = (0..2 * MOST_IDLE).map(|number| ask(&live, &format!("made-up-{number}"))).collect();
    assert!(live.models().len() >= 2 * MOST_IDLE, "a call under way is not forgotten");
    drop(held);
    drop(ask(&live, "one more"));
    assert_eq!(live.models().len(), MOST_IDLE);
}
