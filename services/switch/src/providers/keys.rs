//! A provider's keys: what is sent, and which of them still works.

use std::time::{Duration, Instant};

use http::header::HeaderValue;
use parking_lot::{Mutex, MutexGuard};
use vx11_contracts::switch::{KeyHealth, KeyInfo};

use super::identity;
use crate::domain::keys::{KeyState, KeyStates, NoKey, Refused};

/// The keys of one provider that asks for one; at least one.
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    dead_for: Option<Duration>,
    states: Mutex<KeyStates>,
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// The variable that it came from.
    variable: String,
    /// What is sent, marked sensitive, so that it is never printed.
    header: HeaderValue,
    /// What it is called among replicas.
    digest: String,
}

impl Key {
    /// From a variable; `header` is what is sent.
    pub(super) fn new(variable: String, header: HeaderValue) -> Self {
        Self { digest: identity::key(header.as_bytes()), variable, header }
    }
}

impl Keys {
    /// All alive; a refused one is dead for `dead_for`, or for as long as these keys are in use. Where the keys are
    /// `read_again`, that is so for the other replicas too.
    pub(super) fn new(keys: Vec<Key>, dead_for: Option<Duration>, read_again: bool) -> Self {
        let states = if read_again { KeyStates::revived(keys.len()) } else { KeyStates::new(keys.len()) };
        Self { keys, dead_for, states: Mutex::new(states) }
    }

    /// The key to use now.
    pub(crate) fn pick(&self) -> Result<usize, NoKey> {
        self.states().pick(Instant::now())
    }

    /// What is sent for `key`.
    pub(super) fn header(&self, key: usize) -> &HeaderValue {
        &self.keys[key].header
    }

    /// Learns from a call with `key` that was answered with `status`.
    pub(crate) fn refused(&self, key: usize, status: u16, retry_after: Option<Duration>) -> Refused {
        let (mut states, now) = (self.states(), Instant::now());
        match status {
            401 | 402 => states.refused(key, now, self.dead_for),
            403 => states.forbidden(key, now, self.dead_for),
            429 => states.limited(key, now, retry_after),
            _ => {}
        }
        states.after(key, now)
    }

    /// What was forbidden with `key` was answered with `by`.
    pub(crate) fn confirm(&self, key: usize, by: usize) {
        self.states().confirm(key, by, Instant::now(), self.dead_for);
    }

    /// It was for no key that a call was answered with 403.
    pub(crate) fn acquit_all(&self) {
        self.states().acquit_all();
    }

    /// The name of the variable of `key`, for the log.
    pub(crate) fn variable(&self, key: usize) -> &str {
        &self.keys[key].variable
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.keys.len()
    }

    /// What `key` is called among replicas: the same where it is the same key, and nothing that tells it.
    pub(crate) fn digest(&self, key: usize) -> &str {
        &self.keys[key].digest
    }

    /// What other replicas are to be told of these keys.
    pub(crate) fn news(&self) -> Vec<(usize, KeyState)> {
        self.states().news(Instant::now())
    }

    /// Other replicas were told this.
    pub(crate) fn told(&self, key: usize, state: KeyState) {
        self.states().told(key, state);
    }

    /// Other replicas say this of `key`, at most for as long as a refused key is left alone here. `true` where it is
    /// dead by that, and was not.
    pub(crate) fn hear(&self, key: usize, state: KeyState) -> bool {
        let now = Instant::now();
        let state = match (state, self.dead_for) {
            (KeyState::Dead(Some(until)), Some(time)) => KeyState::Dead(Some(until.min(now + time))),
            (state, _) => state,
        };
        self.states().hear(key, state, now)
    }

    /// Every key as people are shown it: by its variable, and never itself.
    pub(crate) fn info(&self) -> Vec<KeyInfo> {
        let (states, now) = (self.states(), Instant::now());
        let left = |until: Instant| u64::try_from(until.saturating_duration_since(now).as_millis()).ok();
        let info = |(index, key): (usize, &Key)| {
            let (state, retry_after_ms) = match states.state(index, now) {
                KeyState::Alive => (KeyHealth::Alive, None),
                KeyState::Resting(until) => (KeyHealth::Resting, left(until)),
                KeyState::Dead(until) => (KeyHealth::Dead, until.and_then(left)),
            };
            KeyInfo { variable: key.variable.clone(), state, retry_after_ms }
        };
        self.keys.iter().enumerate().map(info).collect()
    }

    fn states(&self) -> MutexGuard<'_, KeyStates> {
        // Every change is whole before the lock is given back.
        self.states.lock()
    }
}
