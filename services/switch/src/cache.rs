//! Answers that are kept for who asks the same again, and one call for all who ask the same at the same time.
//!
//! What is kept is the whole answer in OpenAI's wire, whether it came as one body or as a stream; it is given out in
//! either form. Two requests are the same when they have one [`Key`]: same tenant, same meaning, same targets. Only
//! answers that are whole and come from the first choice are kept, for a time and within a number of bytes. All of it
//! is in this process's memory, and is empty after a start and after a change of its own configuration; a change
//! elsewhere leaves it.
//!
//! It asks no provider and writes no response: `gateway::cached` does the one, `routes` the other.

mod control;
mod entry;
mod flight;
mod gather;
mod key;
mod metrics;
mod passage;
mod replay;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::config::CacheConfig;

pub(crate) use control::Control;
pub(crate) use entry::{Entry, Kind};
pub(crate) use flight::{Beginning, End, Form, Head, Landed, Lead, Next, Said, Seat};
pub(crate) use gather::Gather;
pub(crate) use key::{Key, Scope};
pub(crate) use metrics::{CacheMetrics, Use};
pub(crate) use passage::{Asked, Origin, Passage};
pub(crate) use replay::chunks;

use flight::Flight;

/// The answers, and the calls under way. One for all workers.
#[derive(Debug)]
pub(crate) struct Cache {
    answers: moka::sync::Cache<Key, Arc<Entry>>,
    /// At most one a key; there are never more than requests under way.
    flights: Mutex<HashMap<Key, Arc<Flight>>>,
    /// Most bytes of one answer.
    pub(crate) longest: usize,
    config: CacheConfig,
    pub(crate) metrics: CacheMetrics,
}

/// How a request that was not answered from what is kept gets its answer.
#[derive(Debug)]
pub(crate) enum Boarding {
    /// It is kept after all.
    Kept(Arc<Entry>),
    /// Somebody is asking already.
    Follow(Seat),
    /// By asking, for all who come while it is on its way.
    Lead(Lead, Seat),
}

impl Cache {
    /// The one `before` where that is configured alike, else an empty one; `None` where there is to be none.
    pub(crate) fn new(config: &CacheConfig, metrics: &CacheMetrics, before: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let kept = before.filter(|before| before.config == *config).cloned();
        kept.or_else(|| config.enabled.then(|| Self::empty(config, metrics)))
    }

    fn empty(config: &CacheConfig, metrics: &CacheMetrics) -> Arc<Self> {
        let answers = moka::sync::Cache::builder()
            .time_to_live(config.ttl)
            .max_capacity(config.max_bytes)
            .weigher(|_: &Key, entry: &Arc<Entry>| entry.weight())
            .build();
        let (flights, longest) = (Mutex::default(), config.max_answer_bytes as usize);
        Arc::new(Self { answers, flights, longest, config: config.clone(), metrics: metrics.clone() })
    }

    /// The answer that is kept under `key`, if it is not older than `max_age` and can be handed out in this form.
    fn find(&self, key: &Key, max_age: Option<Duration>, form: Form) -> Option<Arc<Entry>> {
        let is_fresh = |entry: &Arc<Entry>| max_age.is_none_or(|max_age| entry.age() <= max_age);
        self.answers.get(key).filter(|entry| is_fresh(entry) && entry.has(form))
    }

    /// Keeps an answer.
    pub(crate) fn keep(&self, key: Key, entry: Arc<Entry>) {
        self.answers.insert(key, entry);
    }

    /// A seat in the call that is under way for `key`, or the lead of a new one. A request that must not `read` what
    /// others asked for always leads.
    fn board(self: &Arc<Self>, key: Key, control: Control, form: Form) -> Boarding {
        let mut flights = self.flights();
        if control.reads {
            // The call may have ended since the last look.
            if let Some(entry) = self.find(&key, control.max_age, form) {
                return Boarding::Kept(entry);
            }
            if let Some(seat) = flights.get(&key).and_then(|flight| flight.board(control.priority, form)) {
                return Boarding::Follow(seat);
            }
        }
        let (lead, seat) = flight::depart(self.clone(), key, control.priority, form);
        flights.insert(key, lead.flight().clone());
        Boarding::Lead(lead, seat)
    }

    /// Nobody can board `flight` any more.
    fn close(&self, key: &Key, flight: &Arc<Flight>) {
        let mut flights = self.flights();
        if flights.get(key).is_some_and(|known| Arc::ptr_eq(known, flight)) {
            flights.remove(key);
        }
    }

    /// How many answers are kept, and how many bytes they take.
    fn size(&self) -> (u64, u64) {
        // Counts are brought up to date now and then only.
        self.answers.run_pending_tasks();
        (self.answers.entry_count(), self.answers.weighted_size())
    }

    /// How many requests have a seat in a call that can be joined.
    fn pending(&self) -> usize {
        self.flights().values().map(|flight| flight.seats()).sum()
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Arc<Flight>>> {
        self.flights.lock()
    }
}
