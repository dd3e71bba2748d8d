//! Which of a provider's keys is used next.
//!
//! One key is used until it fails: a refused one is dead, one at its limit rests, and the next in the ring takes over. Keys
//! are numbers here; what they say is no business of this file.

use std::time::{Duration, Instant};

/// How long a key at its limit rests where the provider did not say, and another key can take over.
const REST: Duration = Duration::from_secs(1);

/// How one key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyState {
    /// It can be used.
    Alive,
    /// It is at its limit until then.
    Resting(Instant),
    /// The provider refused it; for ever, or until then.
    Dead(Option<Instant>),
}

/// No key can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoKey {
    /// Every one was refused.
    AllDead,
    /// The first one can be used again after this time.
    Resting(Duration),
}

/// The state of every key of one provider.
#[derive(Clone, Debug)]
pub(crate) struct KeyStates {
    states: Vec<KeyState>,
    current: usize,
}

impl KeyStates {
    /// That many keys, all alive.
    pub(crate) fn new(count: usize) -> Self {
        Self { states: vec![KeyState::Alive; count], current: 0 }
    }

    /// The key to use at `now`: the one used last, or the next one that can be used.
    pub(crate) fn pick(&mut self, now: Instant) -> Result<usize, NoKey> {
        let count = self.states.len();
        let in_turn = (0..count).map(|step| (self.current + step) % count);
        if let Some(key) = in_turn.into_iter().find(|key| self.state(*key, now) == KeyState::Alive) {
            self.current = key;
            return Ok(key);
        }
        let rests = (0..count).filter_map(|key| match self.state(key, now) {
            KeyState::Resting(until) => Some(until - now),
            KeyState::Alive | KeyState::Dead(_) => None,
        });
        Err(rests.min().map_or(NoKey::AllDead, NoKey::Resting))
    }

    /// Whether any key can be used at `now`.
    pub(crate) fn any_alive(&self, now: Instant) -> bool {
        (0..self.states.len()).any(|key| self.state(key, now) == KeyState::Alive)
    }

    /// The provider refused `key`: it is dead for `dead_for`, or until the configuration is read again.
    pub(crate) fn refused(&mut self, key: usize, now: Instant, dead_for: Option<Duration>) {
        self.states[key] = KeyState::Dead(dead_for.map(|time| now + time));
    }

    /// `key` is at its limit for `rest`, where the provider said so. A lone key without a word is tried again at once.
    pub(crate) fn limited(&mut self, key: usize, now: Instant, rest: Option<Duration>) {
        let rest = rest.or((self.states.len() > 1).then_some(REST));
        let Some(until) = rest.map(|rest| now + rest) else { return };
        match self.state(key, now) {
            KeyState::Dead(_) => {}
            KeyState::Resting(longer) if longer >= until => {}
            KeyState::Alive | KeyState::Resting(_) => self.states[key] = KeyState::Resting(until),
        }
    }

    /// How `key` is at `now`.
    pub(crate) fn state(&self, key: usize, now: Instant) -> KeyState {
        match self.states[key] {
            KeyState::Resting(until) | KeyState::Dead(Some(until)) if until <= now => KeyState::Alive,
            state => state,
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn without_a_word_only_a_key_with_others_rests() {
        let now = Instant::now();
        let (mut lone, mut two) = (KeyStates::new(1), KeyStates::new(2));
        lone.limited(0, now, None);
        two.limited(0, now, None);
        assert_eq!((lone.pick(now), two.pick(now)), (Ok(0), Ok(1)));
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
}
