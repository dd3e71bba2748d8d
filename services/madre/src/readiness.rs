//! Whether the store answers, as `/ready` tells it: known from use, never asked for on the spot.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use vx11_contracts::health::DependencyState;
use vx11_store::WriterHealth;

use crate::power::PowerError;
use crate::store::Store;

/// The last word on the store.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<String>>);

impl Readiness {
    /// Remembers how the latest regular use of the store went, and says whether it went well. A change is logged.
    pub(crate) fn observe(&self, outcome: Result<(), PowerError>) -> bool {
        let trouble = match &outcome {
            Ok(()) => None,
            Err(PowerError::Store(cause)) => Some(cause.to_string()),
            Err(other) => Some(other.to_string()),
        };
        let mut known = self.0.lock();
        match (&*known, &trouble) {
            (None, Some(reason)) => tracing::warn!(reason, "the regular work does not get through"),
            (Some(_), None) => tracing::info!("the regular work gets through again"),
            _ => {}
        }
        *known = trouble;
        outcome.is_ok()
    }

    /// Why the store is not to be relied on, when it is not.
    pub(crate) fn trouble(&self, store: &Store) -> Option<String> {
        match store.health() {
            WriterHealth::Ok => self.0.lock().clone(),
            WriterHealth::Degraded { reason, backlog_rows, .. } => {
                Some(format!("{reason}; rows kept in memory: {backlog_rows}"))
            }
            WriterHealth::Stopped => Some("the writer has stopped".to_owned()),
        }
    }

    /// madre's dependencies.
    pub(crate) fn dependencies(&self, store: &Store) -> BTreeMap<String, DependencyState> {
        let state = self.trouble(store).map_or_else(DependencyState::up, DependencyState::degraded);
        BTreeMap::from([("store".to_owned(), state)])
    }
}
