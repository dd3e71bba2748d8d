//! What the edge counts beyond what every service counts.

mod replicas;

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use vx11_resilience::BreakerState;
use vx11_telemetry::ANSWER_SECONDS;

use crate::upstream::{Name, Upstreams};
use replicas::ReplicaMetrics;

/// The edge's own metrics, in its registry.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: IntCounterVec,
    seconds: HistogramVec,
    pub(crate) retries: IntCounter,
    pub(crate) limited: IntCounterVec,
    pub(crate) wrong_tokens: IntCounter,
    versions: IntCounterVec,
    breakers: IntGaugeVec,
    sockets: IntGauge,
    pub(crate) messages: IntCounterVec,
}

impl Metrics {
    pub(crate) fn new(registry: &Registry, upstreams: &Upstreams) -> prometheus::Result<Self> {
        let counters = |name, help, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let seconds = HistogramOpts::new("vx11_upstream_duration_seconds", "Seconds until a service's answer began.")
            .buckets(ANSWER_SECONDS.to_vec());
        let metrics = Self {
            requests: counters(
                "vx11_upstream_requests_total",
                "Requests passed on, by service and outcome.",
                &["upstream", "outcome"],
            )?,
            seconds: HistogramVec::new(seconds, &["upstream"])?,
            retries: IntCounter::new("vx11_upstream_retries_total", "Requests that were sent a second time.")?,
            limited: counters(
                "vx11_rate_limited_total",
                "Requests refused by a limit, by what it counts.",
                &["scope"],
            )?,
            wrong_tokens: IntCounter::new(
                "vx11_wrong_tokens_total",
                "Tokens and keys that were nobody's, whichever service said so.",
            )?,
            versions: counters("vx11_api_version_usage_total", "Requests by API version.", &["version"])?,
            breakers: IntGaugeVec::new(
                Opts::new("vx11_circuit_breaker_state", "0 closed, 1 open, 2 half-open."),
                &["target"],
            )?,
            sockets: IntGauge::new("vx11_websocket_connections_active", "Open WebSockets.")?,
            messages: counters("vx11_websocket_messages_total", "WebSocket messages, by direction.", &["direction"])?,
        };
        metrics.seed();
        let Self { requests, seconds, retries, limited, wrong_tokens, versions, breakers, sockets, messages } =
            metrics.clone();
        let all: [Box<dyn Collector>; 9] = [
            Box::new(requests),
            Box::new(seconds),
            Box::new(retries),
            Box::new(limited),
            Box::new(wrong_tokens),
            Box::new(versions),
            Box::new(breakers),
            Box::new(sockets),
            Box::new(messages),
        ];
        all.into_iter().try_for_each(|collector| registry.register(collector))?;
        registry.register(Box::new(ReplicaMetrics::new(upstreams.clone())?))?;
        Ok(metrics)
    }

    /// Makes the series that are known beforehand, so that a rate over them does not begin with a gap.
    fn seed(&self) {
        for name in Name::ALL {
            self.requests.with_label_values(&[name.as_str(), "ok"]);
            self.breakers.with_label_values(&[name.as_str()]);
        }
        for scope in ["address", "token", "wrong_token"] {
            self.limited.with_label_values(&[scope]);
        }
        for direction in ["in", "out"] {
            self.messages.with_label_values(&[direction]);
        }
        self.versions.with_label_values(&["v1"]);
    }

    pub(crate) fn passed_on(&self, upstream: Name, outcome: &str, elapsed: Duration) {
        self.requests.with_label_values(&[upstream.as_str(), outcome]).inc();
        self.seconds.with_label_values(&[upstream.as_str()]).observe(elapsed.as_secs_f64());
    }

    /// Counts a request by the version of the API that it uses.
    pub(crate) fn version(&self, path: &str) {
        let version = if path.starts_with("/v1/") { "v1" } else { "unversioned" };
        self.versions.with_label_values(&[version]).inc();
    }

    pub(crate) fn show_breakers(&self, upstreams: &Upstreams) {
        for upstream in upstreams.all() {
            let state: BreakerState = upstream.breaker.snapshot().state;
            self.breakers.with_label_values(&[upstream.name.as_str()]).set(state.number().into());
        }
    }

    /// Counts an open WebSocket until the guard is dropped.
    pub(crate) fn socket(&self) -> SocketGuard {
        self.sockets.inc();
        SocketGuard(self.sockets.clone())
    }
}

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct SocketGuard(IntGauge);

impl Drop for SocketGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}
