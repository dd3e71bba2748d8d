//! Which of a provider's keys is used next.
//!
//! One key is used until it fails: a refused one is dead, one at its limit rests, and the next in the ring takes over.
//! With a 403 it may be the request that is at fault, which decides nothing for others: such a key is dead on
//! suspicion, for a short time, until another one has answered the same request. What other replicas were told by the
//! provider holds beside what was found out here, for as long as they say. Keys are numbers here; what they say is no
//! business of this file.

use std::time::{Duration, Instant};

/// How long a key at its limit rests where the provider did not say, and another key can take over.
const REST: Duration = Duration::from_secs(1);

/// How long a key is dead at most for a 403 alone.
pub(crate) const SUSPECTED_FOR: Duration = Duration::from_secs(30);

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

/// What follows from a call that the provider refused for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Whether the key is left alone now.
    pub(crate) is_out: bool,
    /// The key that can take its place at once.
    pub(crate) other: Option<usize>,
}

/// The state of every key of one provider.
#[derive(Clone, Debug)]
pub(crate) struct KeyStates {
    /// As it was found out here.
    states: Vec<KeyState>,
    /// As other replicas say.
    others: Vec<KeyState>,
    /// What other replicas were told; `None` where it must be taken back.
    told: Vec<Option<KeyState>>,
    /// Those that are dead on suspicion.
    suspects: Vec<bool>,
    current: usize,
}

impl KeyStates {
    /// That many keys, all alive.
    pub(crate) fn new(count: usize) -> Self {
        let alive = vec![KeyState::Alive; count];
        Self {
            others: alive.clone(),
            told: vec![Some(KeyState::Alive); count],
            suspects: vec![false; count],
            states: alive,
            current: 0,
        }
    }

    /// That many keys, all alive again: whatever other replicas were told of them is taken back.
    pub(crate) fn revived(count: usize) -> Self {
        Self { told: vec![None; count], ..Self::new(count) }
    }

    /// The key to use at `now`: the one used last, or the next one that can be used.
    pub(crate) fn pick(&mut self, now: Instant) -> Result<usize, NoKey> {
        if let Some(key) = self.next(now) {
            self.current = key;
            return Ok(key);
        }
        let rests = (0..self.states.len()).filter_map(|key| match self.state(key, now) {
            KeyState::Resting(until) => Some(until - now),
            KeyState::Alive | KeyState::Dead(_) => None,
        });
        Err(rests.min().map_or(NoKey::AllDead, NoKey::Resting))
    }

    /// What follows for the call that was made with `key`.
    pub(crate) fn after(&self, key: usize, now: Instant) -> Refused {
        let is_out = self.state(key, now) != KeyState::Alive;
        Refused { is_out, other: if is_out { self.next(now) } else { None } }
    }

    /// The first key that can be used at `now`, from the one used last on.
    fn next(&self, now: Instant) -> Option<usize> {
        let count = self.states.len();
        (0..count).map(|step| (self.current + step) % count).find(|key| self.state(*key, now) == KeyState::Alive)
    }

    /// The provider refused `key`: it is dead for `dead_for`, or until the configuration is read again.
    pub(crate) fn refused(&mut self, key: usize, now: Instant, dead_for: Option<Duration>) {
        self.states[key] = KeyState::Dead(dead_for.map(|time| now + time));
        self.suspects[key] = false;
    }

    /// Something is forbidden with `key`, or the key itself is refused: it is dead on suspicion, for `dead_for` at
    /// most.
    pub(crate) fn forbidden(&mut self, key: usize, now: Instant, dead_for: Option<Duration>) {
        if matches!(self.states[key].at(now), KeyState::Dead(_)) {
            return;
        }
        let suspected_for = dead_for.map_or(SUSPECTED_FOR, |time| time.min(SUSPECTED_FOR));
        self.states[key] = KeyState::Dead(Some(now + suspected_for));
        self.suspects[key] = true;
    }

    /// `by` has answered what was forbidden with `key`, which is refused then, as long as it is a suspect; `by` is
    /// none.
    pub(crate) fn confirm(&mut self, key: usize, by: usize, now: Instant, dead_for: Option<Duration>) {
        self.acquit(by);
        if self.suspects[key] && matches!(self.states[key].at(now), KeyState::Dead(_)) {
            self.refused(key, now, dead_for);
        }
    }

    /// What was forbidden with one key is so with all: every suspect is used again, and other replicas are told so.
    pub(crate) fn acquit_all(&mut self) {
        (0..self.states.len()).for_each(|key| self.acquit(key));
    }

    fn acquit(&mut self, key: usize) {
        if std::mem::take(&mut self.suspects[key]) {
            self.states[key] = KeyState::Alive;
        }
    }

    /// `key` is at its limit for `rest`, where the provider said so. A lone key without a word is tried again at once.
    pub(crate) fn limited(&mut self, key: usize, now: Instant, rest: Option<Duration>) {
        let rest = rest.or((self.states.len() > 1).then_some(REST));
        let Some(until) = rest.map(|rest| now + rest) else { return };
        match self.state(key, now) {
            KeyState::Dead(_) => {}
            KeyState::Resting(longer) if longer >= until => {}
            KeyState::Alive | KeyState::Resting(_) => {
                self.states[key] = KeyState::Resting(until);
                self.suspects[key] = false;
            }
        }
    }

    /// How `key` is at `now`.
    pub(crate) fn state(&self, key: usize, now: Instant) -> KeyState {
        self.states[key].at(now).or_worse(self.others[key].at(now))
    }

    /// What was found out here at `now` and other replicas were not told. What they believe no more needs no taking
    /// back.
    pub(crate) fn news(&self, now: Instant) -> Vec<(usize, KeyState)> {
        let is_over = |state: KeyState| state.at(now) == KeyState::Alive;
        let news = |(key, state): (usize, &KeyState)| match self.told[key] {
            Some(told) if told == *state || (is_over(told) && is_over(*state)) => None,
            _ => Some((key, state.at(now))),
        };
        self.states.iter().enumerate().filter_map(news).collect()
    }

    /// Other replicas were told that `key` is in `state`.
    pub(crate) fn told(&mut self, key: usize, state: KeyState) {
        self.told[key] = Some(state);
    }

    /// Other replicas say that `key` is in `state`, and say it anew for as long as that is so. `true` where it is dead
    /// by that, and was not.
    pub(crate) fn hear(&mut self, key: usize, state: KeyState, now: Instant) -> bool {
        let is_dead = |keys: &Self| matches!(keys.state(key, now), KeyState::Dead(_));
        let was_dead = is_dead(self);
        self.others[key] = state;
        !was_dead && is_dead(self)
    }
}

impl KeyState {
    /// This state, as long as it has not ended.
    fn at(self, now: Instant) -> Self {
        match self {
            Self::Resting(until) | Self::Dead(Some(until)) if until <= now => Self::Alive,
            state => state,
        }
    }

    fn or_worse(self, other: Self) -> Self {
        match (self, other) {
            (Self::Dead(Some(one)), Self::Dead(Some(other))) => Self::Dead(Some(one.max(other))),
            (Self::Resting(one), Self::Resting(other)) => Self::Resting(one.max(other)),
            (Self::Dead(None), _) | (_, Self::Alive) | (Self::Dead(_), Self::Resting(_)) => self,
            _ => other,
        }
    }
}

#[cfg(test)]
mod tests;
