//! What the gateway counts. Labels are names and patterns of the configuration, never a caller's own words.

mod calls;
mod live;

use std::sync::Arc;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramVec, IntCounterVec, IntGauge, Registry, histogram_opts, opts};

use crate::cache::{Cache, CacheMetrics};
use crate::domain::outcome::Outcome;
use crate::domain::routing::{Label, Labels};
use crate::providers::Provider;

pub(crate) use calls::CallReport;
use calls::{CallMetrics, ProviderCalls};
use live::{LiveStates, Watched};

/// Seconds, for whole answers: from a fast cache to the longest stream.
const ANSWER_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0];
/// Seconds, for the gateway's own work and the time of one token.
const SHORT_SECONDS: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];

/// The gateway's metrics. A clone counts into the same ones.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    calls: CallMetrics,
    fallbacks: IntCounterVec,
    rescues: IntCounterVec,
    retries: IntCounterVec,
    shadows: IntCounterVec,
    reloads: IntCounterVec,
    reload_failed: IntGauge,
    overhead: Histogram,
    streams: IntGauge,
    watched: Watched,
    /// The response cache's.
    pub(crate) cache: CacheMetrics,
    /// In registry order.
    providers: Arc<[ProviderCalls]>,
}

impl Metrics {
    /// Registers everything in `registry`.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(opts!(name, help), labels)?)
        };
        let reloads = counters(
            "vx11_config_reloads_total",
            "How often the configuration was read again, by whether it came into force: applied, refused.",
            &["outcome"],
        )?;
        // What is counted for the first time must be seen to have grown.
        for outcome in ["applied", "refused"] {
            reloads.with_label_values(&[outcome]);
        }
        let watched = Watched::default();
        registry.register(Box::new(LiveStates::new(watched.clone())?))?;
        Ok(Self {
            calls: CallMetrics::new(registry)?,
            rescues: counters(
                "vx11_stream_rescues_total",
                "Streams that broke after their first token with other targets left, by how they were finished \
                 (prompted, prefilled, spliced, continued) or why they were not.",
                &["outcome"],
            )?,
            fallbacks: counters(
                "vx11_fallbacks_total",
                "Answers that did not come from the first choice, by why that one failed.",
                &["reason"],
            )?,
            retries: counters(
                "vx11_provider_retries_total",
                "Retries on the same target, by the outcome that caused them; `no_budget`: refused by the retry budget.",
                &["provider", "reason"],
            )?,
            shadows: counters(
                "vx11_shadow_requests_total",
                "Copies sent to shadow targets, by how they went.",
                &["provider", "outcome"],
            )?,
            reloads,
            reload_failed: register(
                registry,
                IntGauge::new("vx11_config_refused", "1 while the file holds a configuration that cannot be used.")?,
            )?,
            overhead: register(
                registry,
                Histogram::with_opts(histogram_opts!(
                    "vx11_gateway_overhead_seconds",
                    "Seconds from a request to the head of its answer, without provider calls and the pauses between them.",
                    SHORT_SECONDS.to_vec()
                ))?,
            )?,
            streams: register(registry, IntGauge::new("vx11_streams_active", "Streams under way.")?)?,
            watched,
            cache: CacheMetrics::new(registry)?,
            providers: Arc::default(),
        })
    }

    /// From now on the state of these is shown: of what is in force.
    pub(crate) fn watch(&self, providers: Vec<(Arc<Provider>, Labels)>, cache: Option<&Arc<Cache>>) {
        *self.watched.lock() = providers;
        self.cache.watch(cache);
    }

    /// The same metrics for these providers, and their models of these labels.
    pub(crate) fn of(&self, providers: &[Arc<Provider>], labels: &[Labels]) -> Self {
        let calls = providers.iter().zip(labels).map(|(provider, labels)| self.calls.of(&provider.name, labels));
        Self { providers: calls.collect(), ..self.clone() }
    }

    /// Counts one provider call.
    pub(crate) fn call(&self, report: &CallReport<'_>) {
        self.providers[report.provider].count(report);
    }

    /// Counts a provider that was not asked.
    pub(crate) fn skipped(&self, provider: usize, label: &Label, outcome: Outcome) {
        self.providers[provider].count_outcome(label, outcome);
    }

    /// Counts an answer that did not come from the first choice.
    pub(crate) fn fallback(&self, reason: &str) {
        self.fallbacks.with_label_values(&[reason]).inc();
    }

    /// Counts a broken stream, by how it was finished or why it was not.
    pub(crate) fn rescue(&self, outcome: &str) {
        self.rescues.with_label_values(&[outcome]).inc();
    }

    /// Counts a retry on the same target.
    pub(crate) fn retry(&self, provider: &str, reason: &str) {
        self.retries.with_label_values(&[provider, reason]).inc();
    }

    /// Counts a copy that went to a shadow target.
    pub(crate) fn shadow(&self, provider: &str, outcome: &str) {
        self.shadows.with_label_values(&[provider, outcome]).inc();
    }

    /// Counts a configuration that was read again, and whether it could be used.
    pub(crate) fn reloaded(&self, applied: bool) {
        self.reloads.with_label_values(&[if applied { "applied" } else { "refused" }]).inc();
        self.reload_failed.set(i64::from(!applied));
    }

    /// Counts the gateway's own part in the time until an answer's head.
    pub(crate) fn overhead(&self, elapsed: Duration) {
        self.overhead.observe(elapsed.as_secs_f64());
    }

    /// Counts a stream for as long as the guard lives.
    pub(crate) fn stream(&self) -> ActiveStream {
        self.streams.inc();
        ActiveStream(self.streams.clone())
    }
}

/// One stream under way.
#[derive(Debug)]
pub(crate) struct ActiveStream(IntGauge);

impl Drop for ActiveStream {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn times(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<HistogramVec> {
    register(registry, HistogramVec::new(histogram_opts!(name, help, buckets.to_vec()), &["provider"])?)
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> prometheus::Result<C> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

#[cfg(test)]
mod tests {
    use vx11_chassis::config::Settings;
    use vx11_chassis::process::section;

    use super::*;
    use crate::config::SwitchConfig;
    use crate::domain::routing::Routes;

    #[test]
    fn what_never_comes_into_force_is_not_shown() {
        let settings = Settings::load(None, std::iter::empty()).expect("settings");
        let (common, config) =
            (settings.common().expect("common"), section::<SwitchConfig>(&settings).expect("config"));
        let providers = crate::providers::Registry::new(&config, &common, None).expect("providers");
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("metrics");
        let is_shown = || {
            let families = registry.gather();
            let limits = families.iter().find(|family| family.name() == "vx11_provider_concurrency_limit");
            limits.is_some_and(|limits| !limits.get_metric().is_empty())
        };
        let served = providers.all().iter().map(|provider| provider.served()).collect();
        let labels = Routes::new(served, []).labels().to_vec();
        drop(metrics.of(providers.all(), &labels));
        assert!(!is_shown());
        metrics.watch(providers.all().iter().cloned().zip(labels).collect(), None);
        assert!(is_shown());
    }
}
