use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_refused_key_is_followed_by_the_next_one() {
    let (mut keys, now) = (KeyStates::new(2), Instant::now());
    assert_eq!((keys.pick(now), keys.pick(now)), (Ok(0), Ok(0)), "one key is used until it fails");
    keys.refused(0, now, None);
    assert_eq!(keys.pick(now), Ok(1));
    keys.refused(1, now, None);
    assert_eq!(keys.pick(now + 1_000_000 * SECOND), Err(NoKey::AllDead), "until the configuration is read again");
}

#[test]
fn a_key_may_come_back_to_life() {
    let (mut keys, now) = (KeyStates::new(1), Instant::now());
    keys.refused(0, now, Some(60 * SECOND));
    assert_eq!(keys.pick(now + 59 * SECOND), Err(NoKey::AllDead));
    assert_eq!(keys.pick(now + 60 * SECOND), Ok(0));
}

#[test]
fn a_key_at_its_limit_rests_as_long_as_the_provider_says() {
    let (mut keys, now) = (KeyStates::new(2), Instant::now());
    keys.limited(0, now, Some(20 * SECOND));
    assert_eq!(keys.pick(now), Ok(1));
    keys.limited(1, now, Some(7 * SECOND));
    keys.limited(1, now, Some(SECOND));
    assert_eq!(keys.pick(now), Err(NoKey::Resting(7 * SECOND)), "the longer word holds");
    assert_eq!(keys.pick(now + 7 * SECOND), Ok(1));
}

#[test]
fn a_key_that_is_out_is_replaced_by_the_one_that_is_picked_next() {
    let (mut keys, now) = (KeyStates::new(3), Instant::now());
    keys.refused(0, now, None);
    keys.limited(1, now, Some(SECOND));
    assert_eq!(keys.after(1, now), Refused { is_out: true, other: Some(2) });
    keys.limited(2, now, Some(20 * SECOND));
    assert_eq!(keys.after(2, now), Refused { is_out: true, other: None });
    assert_eq!(keys.after(2, now + SECOND), Refused { is_out: true, other: Some(1) });
    let mut lone = KeyStates::new(1);
    lone.limited(0, now, None);
    assert_eq!(lone.after(0, now), Refused { is_out: false, other: None });
}

#[test]
fn without_a_word_only_a_key_with_others_rests() {
    let now = Instant::now();
    let (mut lone, mut two) = (KeyStates::new(1), KeyStates::new(2));
    lone.limited(0, now, None);
    two.limited(0, now, None);
    assert_eq!((lone.pick(now), two.pick(now)), (Ok(0), Ok(1)));
}

#[test]
fn a_key_that_others_were_refused_with_is_left_alone_while_they_say_so() {
    let (mut keys, now) = (KeyStates::new(2), Instant::now());
    assert!(keys.hear(0, KeyState::Dead(Some(now + 60 * SECOND)), now));
    assert!(!keys.hear(0, KeyState::Dead(Some(now + 60 * SECOND)), now), "that is known");
    assert_eq!((keys.pick(now), keys.pick(now + 60 * SECOND)), (Ok(1), Ok(1)), "one key is used until it fails");
    assert_eq!(keys.state(0, now + 60 * SECOND), KeyState::Alive, "it ends though nobody says so");
    keys.hear(1, KeyState::Dead(Some(now + 60 * SECOND)), now);
    assert_eq!(keys.pick(now), Err(NoKey::AllDead));
    keys.hear(0, KeyState::Alive, now);
    assert_eq!(keys.pick(now), Ok(0));
    assert_eq!(keys.news(now), [], "hearsay is not passed on");
}

#[test]
fn what_others_say_never_shortens_what_was_found_out_here() {
    let (mut keys, now) = (KeyStates::new(3), Instant::now());
    let later = now + 5 * SECOND;
    keys.refused(0, now, None);
    keys.refused(1, now, Some(9 * SECOND));
    keys.limited(2, now, Some(9 * SECOND));
    for key in 0..3 {
        for heard in [KeyState::Alive, KeyState::Resting(later)] {
            keys.hear(key, heard, now);
        }
    }
    assert_eq!(keys.state(0, now), KeyState::Dead(None));
    assert_eq!(keys.state(1, now), KeyState::Dead(Some(now + 9 * SECOND)));
    assert_eq!(keys.state(2, now), KeyState::Resting(now + 9 * SECOND));
}

#[test]
fn others_are_told_once_and_hear_when_the_keys_are_revived() {
    let (mut keys, now) = (KeyStates::new(2), Instant::now());
    keys.refused(1, now, Some(SECOND));
    let dead = KeyState::Dead(Some(now + SECOND));
    assert_eq!(keys.news(now), [(1, dead)]);
    keys.told(1, dead);
    assert_eq!((keys.news(now), keys.news(now + SECOND)), (vec![], vec![]));
    keys.limited(0, now, Some(SECOND));
    assert_eq!(keys.news(now + SECOND), [], "over before it was told");

    let mut revived = KeyStates::revived(1);
    assert_eq!(revived.news(now), [(0, KeyState::Alive)]);
    revived.told(0, KeyState::Alive);
    assert_eq!(revived.news(now), []);
}

#[test]
fn a_suspect_is_dead_for_a_short_time_and_not_longer_than_a_refused_key() {
    let (mut keys, now) = (KeyStates::new(2), Instant::now());
    keys.forbidden(0, now, None);
    keys.forbidden(1, now, Some(5 * SECOND));
    assert_eq!(
        keys.news(now),
        [(0, KeyState::Dead(Some(now + SUSPECTED_FOR))), (1, KeyState::Dead(Some(now + 5 * SECOND)))]
    );
    assert_eq!((keys.pick(now), keys.pick(now + 5 * SECOND)), (Err(NoKey::AllDead), Ok(1)));
    assert_eq!(keys.state(0, now + SUSPECTED_FOR), KeyState::Alive);
}

#[test]
fn a_suspect_is_refused_once_another_key_has_answered_the_same() {
    let (mut keys, now) = (KeyStates::new(3), Instant::now());
    (0..2).for_each(|key| keys.forbidden(key, now, None));
    keys.confirm(0, 1, now + SECOND, None);
    assert_eq!((keys.state(0, now), keys.state(1, now)), (KeyState::Dead(None), KeyState::Alive));
    keys.confirm(1, 2, now + SECOND, None);
    assert_eq!(keys.state(1, now), KeyState::Alive, "it has answered since");
    keys.forbidden(2, now, None);
    keys.confirm(2, 1, now + SUSPECTED_FOR, None);
    assert_eq!(keys.state(2, now + SUSPECTED_FOR), KeyState::Alive, "it may have answered since");
}

#[test]
fn what_is_forbidden_with_every_key_acquits_no_refused_one() {
    let (mut keys, now) = (KeyStates::new(3), Instant::now());
    keys.refused(0, now, None);
    keys.forbidden(0, now, None);
    keys.forbidden(1, now, None);
    keys.limited(2, now, Some(SECOND));
    keys.acquit_all();
    let states = [0, 1, 2].map(|key| keys.state(key, now));
    assert_eq!(states, [KeyState::Dead(None), KeyState::Alive, KeyState::Resting(now + SECOND)]);
}

#[test]
fn a_key_that_is_acquitted_is_used_again_here_and_elsewhere() {
    let (mut keys, now) = (KeyStates::new(2), Instant::now());
    keys.forbidden(0, now, None);
    keys.told(0, keys.state(0, now));
    assert_eq!(keys.pick(now), Ok(1));
    keys.acquit_all();
    assert_eq!(keys.state(0, now), KeyState::Alive);
    assert_eq!(keys.news(now), [(0, KeyState::Alive)], "it is taken back");
    keys.told(0, KeyState::Alive);
    assert_eq!(keys.news(now), []);

    keys.forbidden(0, now, None);
    keys.acquit_all();
    assert_eq!(keys.news(now), [], "nobody was told");
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Refused(Option<u64>),
    Limited(Option<u64>),
    Worked,
}

fn events() -> impl Strategy<Value = Vec<(Event, u64)>> {
    let event = prop_oneof![
        prop::option::of(1u64..30).prop_map(Event::Refused),
        prop::option::of(1u64..30).prop_map(Event::Limited),
        Just(Event::Worked),
    ];
    prop::collection::vec((event, 0u64..10), 0..60)
}

proptest! {
    #[test]
    fn a_key_is_never_used_while_it_is_dead_or_rests(count in 1usize..5, events in events()) {
        let (mut keys, start) = (KeyStates::new(count), Instant::now());
        let mut at = start;
        // Until when each key must not be used; `None` is for ever.
        let mut barred = vec![Some(start); count];
        for (event, pause) in events {
            at += Duration::from_secs(pause);
            let free = |until: &Option<Instant>| until.is_some_and(|until| until <= at);
            let key = match keys.pick(at) {
                Ok(key) => {
                    prop_assert!(free(&barred[key]));
                    key
                }
                Err(_) => {
                    prop_assert!(!barred.iter().any(free), "a key that can be used is found");
                    continue;
                }
            };
            match event {
                Event::Refused(dead_for) => {
                    keys.refused(key, at, dead_for.map(|seconds| seconds as u32 * SECOND));
                    barred[key] = dead_for.map(|seconds| at + seconds as u32 * SECOND);
                }
                Event::Limited(rest) => {
                    keys.limited(key, at, rest.map(|seconds| seconds as u32 * SECOND));
                    if let Some(seconds) = rest {
                        barred[key] = Some(at + seconds as u32 * SECOND);
                    } else if count > 1 {
                        barred[key] = Some(at + REST);
                    }
                }
                Event::Worked => {}
            }
        }
    }
}
