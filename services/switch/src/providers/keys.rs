//! A provider's keys: what is sent, and which of them still works.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use vx11_contracts::switch::{KeyHealth, KeyInfo};

use crate::domain::keys::{KeyState, KeyStates, NoKey};

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
    pub(super) variable: String,
    /// What is sent, marked sensitive, so that it is never printed.
    pub(super) header: HeaderValue,
}

impl Keys {
    /// All alive; a refused one is dead for `dead_for`, or for as long as these keys are in use.
    pub(super) fn new(keys: Vec<Key>, dead_for: Option<Duration>) -> Self {
        let states = Mutex::new(KeyStates::new(keys.len()));
        Self { keys, dead_for, states }
    }

    /// The key to use now.
    pub(crate) fn pick(&self) -> Result<usize, NoKey> {
        self.states().pick(Instant::now())
    }

    /// What is sent for `key`.
    pub(super) fn header(&self, key: usize) -> &HeaderValue {
        &self.keys[key].header
    }

    /// Learns from a call with `key` that was answered with `status`. `true` where another one can take its place at once.
    pub(crate) fn refused(&self, key: usize, status: u16, retry_after: Option<Duration>) -> bool {
        let (mut states, now) = (self.states(), Instant::now());
        match status {
            401..=403 => states.refused(key, now, self.dead_for),
            429 => states.limited(key, now, retry_after),
            _ => return false,
        }
        states.state(key, now) != KeyState::Alive && states.any_alive(now)
    }

    /// The name of the variable of `key`, for the log.
    pub(crate) fn variable(&self, key: usize) -> &str {
        &self.keys[key].variable
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
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
