//! What is read when it is scraped, because it also changes with time alone: breakers, keys, latencies.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec, opts};
use vx11_contracts::switch::KeyHealth;

use crate::providers::Provider;

/// The providers whose state is shown; those of the configuration in force.
pub(super) type Watched = Arc<Mutex<Vec<Arc<Provider>>>>;

/// The gauges of every provider.
pub(super) struct LiveStates {
    watched: Watched,
    breakers: IntGaugeVec,
    keys: IntGaugeVec,
    latency: GaugeVec,
}

impl LiveStates {
    pub(super) fn new(watched: Watched) -> prometheus::Result<Self> {
        let breakers =
            opts!("vx11_circuit_breaker_state", "State of a circuit breaker: 0 closed, 1 open, 2 half-open.");
        let keys = opts!("vx11_provider_keys", "Keys of a provider, by how they are: alive, resting, dead.");
        let latency =
            opts!("vx11_provider_expected_latency_seconds", "Seconds that an answer is expected to take to begin.");
        Ok(Self {
            watched,
            breakers: IntGaugeVec::new(breakers, &["target"])?,
            keys: IntGaugeVec::new(keys, &["provider", "state"])?,
            latency: GaugeVec::new(latency, &["provider", "model"])?,
        })
    }

    fn gauges(&self) -> [&dyn Collector; 3] {
        [&self.breakers, &self.keys, &self.latency]
    }

    fn read(&self, provider: &Provider) {
        let name = provider.name.as_str();
        for (label, live) in provider.live.models() {
            let state = live.breaker.snapshot().state.number();
            self.breakers.with_label_values(&[&format!("{name}/{label}")]).set(state.into());
            self.latency.with_label_values(&[name, &label]).set(live.latency().as_secs_f64());
        }
        let Some(keys) = provider.keys() else { return };
        let keys = keys.info();
        for (state, word) in [(KeyHealth::Alive, "alive"), (KeyHealth::Resting, "resting"), (KeyHealth::Dead, "dead")] {
            let count = keys.iter().filter(|key| key.state == state).count();
            self.keys.with_label_values(&[name, word]).set(count as i64);
        }
    }
}

impl Collector for LiveStates {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        // What is no longer configured is no longer shown.
        self.breakers.reset();
        self.keys.reset();
        self.latency.reset();
        for provider in watched.iter() {
            self.read(provider);
        }
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}

impl fmt::Debug for LiveStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveStates").finish_non_exhaustive()
    }
}
