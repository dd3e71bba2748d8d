//! How much the cache is used, and how full it is.

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Registry, opts};

use super::Cache;

/// How a request was answered, as the cache counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// With what was kept.
    Hit,
    /// With the answer to another request's call.
    Shared,
    /// By asking.
    Miss,
    /// By asking, because request or caller will not have it otherwise.
    Bypass,
}

impl Use {
    /// Every one, in their order.
    const ALL: [Self; 4] = [Self::Hit, Self::Shared, Self::Miss, Self::Bypass];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Shared => "shared",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

/// The cache's metrics. A clone counts into the same ones.
#[derive(Clone, Debug)]
pub(crate) struct CacheMetrics {
    /// In the order of [`Use::ALL`].
    requests: [IntCounter; Use::ALL.len()],
    /// The cache of the configuration in force.
    watched: Arc<Mutex<Weak<Cache>>>,
}

impl CacheMetrics {
    /// Registers everything in `registry`.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let requests = opts!(
            "vx11_cache_requests_total",
            "Requests while there is a response cache, by how they were answered: hit, shared (with the answer to an \
             identical request's call), miss, bypass."
        );
        let requests = IntCounterVec::new(requests, &["outcome"])?;
        registry.register(Box::new(requests.clone()))?;
        let requests = Use::ALL.map(|used| requests.with_label_values(&[used.as_str()]));
        let watched = Arc::default();
        registry.register(Box::new(Fullness::new(Arc::clone(&watched))?))?;
        Ok(Self { requests, watched })
    }

    pub(super) fn count(&self, used: Use) {
        self.requests[used as usize].inc();
    }

    /// `cache` is the one whose size is shown from now on.
    pub(crate) fn watch(&self, cache: Option<&Arc<Cache>>) {
        let cache = cache.map_or_else(Weak::new, Arc::downgrade);
        *self.watched.lock() = cache;
    }
}

/// How full the cache is, read when it is scraped.
struct Fullness {
    watched: Arc<Mutex<Weak<Cache>>>,
    entries: IntGauge,
    bytes: IntGauge,
    pending: IntGauge,
}

impl Fullness {
    fn new(watched: Arc<Mutex<Weak<Cache>>>) -> prometheus::Result<Self> {
        let entries = IntGauge::new("vx11_cache_entries", "Answers that the response cache holds.")?;
        let bytes = IntGauge::new("vx11_cache_bytes", "Bytes that they take.")?;
        let pending = "Requests that wait for, or read, the answer of a call that others may join.";
        let pending = IntGauge::new("vx11_cache_pending", pending)?;
        Ok(Self { watched, entries, bytes, pending })
    }
}

impl Collector for Fullness {
    fn desc(&self) -> Vec<&Desc> {
        [self.entries.desc(), self.bytes.desc(), self.pending.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let cache = self.watched.lock().upgrade();
        let (entries, bytes) = cache.as_ref().map_or((0, 0), |cache| cache.size());
        self.pending.set(cache.map_or(0, |cache| cache.pending()).try_into().unwrap_or(i64::MAX));
        self.entries.set(entries.try_into().unwrap_or(i64::MAX));
        self.bytes.set(bytes.try_into().unwrap_or(i64::MAX));
        [self.entries.collect(), self.bytes.collect(), self.pending.collect()].concat()
    }
}

impl fmt::Debug for Fullness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fullness").finish_non_exhaustive()
    }
}
