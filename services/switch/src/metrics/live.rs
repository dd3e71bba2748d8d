//! What is read when it is scraped, because it also changes with time alone: breakers, keys, latencies, queues.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGaugeVec, opts};
use vx11_contracts::switch::KeyHealth;
use vx11_resilience::{BreakerState, Priority};

use crate::domain::routing::Labels;
use crate::providers::{Provider, badness};

/// The providers whose state is shown, and what their models are called; those of the configuration in force.
pub(super) type Watched = Arc<Mutex<Vec<(Arc<Provider>, Labels)>>>;

/// The gauges of every provider.
pub(super) struct LiveStates {
    watched: Watched,
    breakers: IntGaugeVec,
    keys: IntGaugeVec,
    latency: GaugeVec,
    limit: IntGaugeVec,
    in_flight: IntGaugeVec,
    queue: IntGaugeVec,
}

impl LiveStates {
    pub(super) fn new(watched: Watched) -> prometheus::Result<Self> {
        let breakers =
            opts!("vx11_circuit_breaker_state", "State of a circuit breaker: 0 closed, 1 open, 2 half-open.");
        let keys = opts!("vx11_provider_keys", "Keys of a provider, by how they are: alive, resting, dead.");
        let latency =
            opts!("vx11_provider_expected_latency_seconds", "Seconds that an answer is expected to take to begin.");
        let limit = opts!("vx11_provider_concurrency_limit", "Calls that a provider gets at a time.");
        let in_flight = opts!("vx11_provider_in_flight", "Calls to a provider under way.");
        let queue = opts!("vx11_provider_queue_depth", "Calls that wait for a place at a provider.");
        Ok(Self {
            watched,
            limit: IntGaugeVec::new(limit, &["provider"])?,
            in_flight: IntGaugeVec::new(in_flight, &["provider"])?,
            queue: IntGaugeVec::new(queue, &["provider", "priority"])?,
            breakers: IntGaugeVec::new(breakers, &["target"])?,
            keys: IntGaugeVec::new(keys, &["provider", "state"])?,
            latency: GaugeVec::new(latency, &["provider", "model"])?,
        })
    }

    fn gauges(&self) -> [&dyn Collector; 6] {
        [&self.breakers, &self.keys, &self.latency, &self.limit, &self.in_flight, &self.queue]
    }

    /// What is no longer configured is no longer shown.
    fn reset(&self) {
        for gauge in [&self.breakers, &self.keys, &self.limit, &self.in_flight, &self.queue] {
            gauge.reset();
        }
        self.latency.reset();
    }

    fn read(&self, provider: &Provider, labels: &Labels) {
        let name = provider.name.as_str();
        for (place, models) in provider.live.telling(labels) {
            let label = &*labels.all()[place];
            // Of the models of one pattern the worst is shown.
            let states = models.iter().map(|model| model.breaker.snapshot().state);
            let state = states.max_by_key(|state| badness(*state)).unwrap_or(BreakerState::Closed);
            let latency = models.iter().map(|model| model.latency()).max().unwrap_or_default();
            self.breakers.with_label_values(&[&format!("{name}/{label}")]).set(state.number().into());
            self.latency.with_label_values(&[name, label]).set(latency.as_secs_f64());
        }
        let admission = provider.live.admission.snapshot();
        self.limit.with_label_values(&[name]).set(admission.limit.into());
        self.in_flight.with_label_values(&[name]).set(admission.in_flight.into());
        for (priority, waiting) in Priority::ALL.into_iter().zip(admission.waiting) {
            self.queue.with_label_values(&[name, priority.as_str()]).set(waiting as i64);
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
        let watched = self.watched.lock();
        self.reset();
        for (provider, labels) in watched.iter() {
            self.read(provider, labels);
        }
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}

impl fmt::Debug for LiveStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveStates").finish_non_exhaustive()
    }
}
