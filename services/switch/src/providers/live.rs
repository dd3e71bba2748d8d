//! What is learnt about a provider while it is in use, and about each of its models.
//!
//! A model is known by the name that the provider is asked for. Where a pattern lets callers name what they like, they
//! may make names up, so that only so many are kept: what the configuration names and what a call is under way to, and
//! of all others [`MOST_IDLE`]. For a new one that goes of which least would be lost: what the provider never answered
//! before what it did, and what was not used for long before the rest. An open breaker is never forgotten: where there
//! is nothing else to forget, new names share what is learnt under their label.

mod model;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockWriteGuard};
use vx11_resilience::{Admission, BreakerConfig, RetryBudget, Verdict};

use crate::config::{ProviderConfig, RetryConfig};
use crate::domain::routing::{Label, Labels};

pub(crate) use model::{Form, InFlight, ModelLive};

/// Names that are kept though nobody holds them.
const MOST_IDLE: usize = 256;
/// How long nobody looks again where there was nothing to forget: every call to a new name would.
const FULL_FOR: Duration = Duration::from_secs(1);

/// What is learnt about one provider.
#[derive(Debug)]
pub(crate) struct Live {
    /// How many retries it can bear.
    pub(crate) retries: RetryBudget,
    /// How many calls it gets at a time.
    pub(crate) admission: Admission,
    /// Longest wait for one.
    pub(crate) queue_timeout: Duration,
    breaker: BreakerConfig,
    models: RwLock<Models>,
    /// How many names have come so far: what was used later was used after more of them.
    arrivals: AtomicU64,
}

/// The models that something is known of.
#[derive(Debug, Default)]
struct Models {
    by_name: BTreeMap<Arc<str>, Arc<ModelLive>>,
    /// Until when there is nothing to forget.
    full_until: Option<Instant>,
}

impl Live {
    /// Nothing is known yet.
    pub(super) fn new(config: &ProviderConfig, retries: RetryConfig, use_breakers: bool) -> Self {
        Self {
            retries: RetryBudget::new(retries.budget()),
            admission: Admission::new(config.concurrency.into()),
            queue_timeout: config.concurrency.queue_timeout,
            breaker: BreakerConfig { enabled: use_breakers, ..config.breaker.into() },
            models: RwLock::default(),
            arrivals: AtomicU64::default(),
        }
    }

    /// What is learnt about the model of this name and label. It is kept for as long as somebody holds it.
    pub(crate) fn model(&self, name: &Arc<str>, label: &Label) -> Arc<ModelLive> {
        self.known(name).unwrap_or_else(|| {
            let mut models = self.write();
            let has_place = **name == **label || models.by_name.contains_key(name) || models.make_room();
            let name = if has_place { name.clone() } else { Arc::from(&**label) };
            self.learn(&mut models, name)
        })
    }

    /// Takes in what others say of the model of this name, as the word of this number. Of one that is not known here it
    /// matters only that it fails. `true` when this opened or closed its breaker.
    pub(crate) fn hear(&self, name: &str, word: u64, verdict: Verdict) -> bool {
        let model = self.known(name).or_else(|| {
            let matters = self.breaker.enabled && matches!(verdict, Verdict::Open(_));
            let mut models = matters.then(|| self.write())?;
            models.make_room().then(|| self.learn(&mut models, name.into()))
        });
        model.is_some_and(|model| model.breaker.hear(word, verdict))
    }

    /// Every model that something is known of.
    pub(crate) fn models(&self) -> Vec<Arc<ModelLive>> {
        self.models.read().by_name.values().cloned().collect()
    }

    /// The models that show how the provider is, by the places of their labels. A name that it never answered may be
    /// made up: beside others of the same label that it did answer, it shows something only while its breaker is open.
    pub(crate) fn telling(&self, labels: &Labels) -> BTreeMap<usize, Vec<Arc<ModelLive>>> {
        let mut by_label: BTreeMap<usize, Vec<Arc<ModelLive>>> = BTreeMap::new();
        for model in self.models() {
            by_label.entry(labels.of(&model.name).place).or_default().push(model);
        }
        for models in by_label.values_mut() {
            if models.iter().any(|model| model.was_answered()) {
                models.retain(|model| model.was_answered() || model.is_open());
            }
        }
        by_label
    }

    fn known(&self, name: &str) -> Option<Arc<ModelLive>> {
        let model = self.models.read().by_name.get(name).cloned()?;
        model.used(self.arrivals.load(Ordering::Relaxed));
        Some(model)
    }

    fn learn(&self, models: &mut Models, name: Arc<str>) -> Arc<ModelLive> {
        let new = || Arc::new(ModelLive::new(name.clone(), self.breaker));
        let model = models.by_name.entry(name.clone()).or_insert_with(new);
        model.used(self.arrivals.fetch_add(1, Ordering::Relaxed) + 1);
        model.clone()
    }

    fn write(&self) -> RwLockWriteGuard<'_, Models> {
        self.models.write()
    }
}

impl Models {
    /// Whether there is a place for one more name, where need be because others are forgotten.
    fn make_room(&mut self) -> bool {
        if self.by_name.len() < MOST_IDLE {
            return true;
        }
        let now = Instant::now();
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        // While the map is locked nobody can come to hold one that only the map holds.
        let idle: Vec<_> = self.by_name.values().filter(|model| Arc::strong_count(model) == 1).collect();
        // Calls that were under way at the same time may have left more than one too many.
        let too_many = (idle.len() + 1).saturating_sub(MOST_IDLE);
        let mut least: Vec<_> = idle.iter().filter_map(|model| Some((model.worth()?, model.name.clone()))).collect();
        least.sort_unstable();
        let has_room = least.len() >= too_many;
        for (_, name) in least.into_iter().take(too_many) {
            self.by_name.remove(&name);
        }
        self.full_until = (!has_room).then(|| now + FULL_FOR);
        has_room
    }
}

#[cfg(test)]
mod tests;
