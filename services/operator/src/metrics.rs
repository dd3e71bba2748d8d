//! What operator counts beyond what every service counts.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use vx11_contracts::chat::ChatProvider;
use vx11_resilience::{Breaker, BreakerState};

/// Why the switch did not answer, as a label; `other` comes last.
const FALLBACK_REASONS: [&str; 12] = [
    "switch_unhealthy",
    "circuit_open",
    "connect",
    "transport",
    "timeout",
    "invalid_answer",
    "stream_cut",
    "stream_failed",
    "stalled",
    "http_4xx",
    "http_5xx",
    "other",
];

/// The operator's own metrics, in its registry.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    chats: IntCounterVec,
    fallbacks: IntCounterVec,
    cache_hits: prometheus::IntCounter,
    deferred: prometheus::IntCounter,
    chat_seconds: Histogram,
    sessions_active: IntGauge,
    breakers: IntGaugeVec,
    event_streams: IntGauge,
    sockets: Sockets,
}

/// What is counted of WebSockets.
#[derive(Clone, Debug)]
pub(crate) struct Sockets {
    open: IntGauge,
    unproven: IntGauge,
    /// Messages that came.
    pub(crate) received: IntCounter,
    /// Messages that were sent.
    pub(crate) sent: IntCounter,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
        let seconds = HistogramOpts::new("vx11_chat_duration_seconds", "Seconds from a chat's arrival to its answer.");
        let metrics = Self {
            chats: IntCounterVec::new(
                Opts::new("vx11_chats_total", "Chats answered, by who answered and whether as a fallback."),
                &["provider", "degraded"],
            )?,
            fallbacks: IntCounterVec::new(
                Opts::new("vx11_chat_fallbacks_total", "Chats that the switch did not answer, by reason."),
                &["reason"],
            )?,
            cache_hits: prometheus::IntCounter::new(
                "vx11_chat_cache_hits_total",
                "Chats answered from the answer cache.",
            )?,
            deferred: prometheus::IntCounter::new(
                "vx11_chats_deferred_total",
                "Chats answered before their rows were durable, because the store could not take them.",
            )?,
            chat_seconds: Histogram::with_opts(seconds.buckets(buckets))?,
            sessions_active: IntGauge::new(
                "vx11_chat_sessions_active",
                "Sessions with a message within the rate limit's window.",
            )?,
            breakers: IntGaugeVec::new(
                Opts::new("vx11_circuit_breaker_state", "0 closed, 1 open, 2 half-open."),
                &["target"],
            )?,
            event_streams: IntGauge::new("vx11_event_streams_active", "Open event streams.")?,
            sockets: Sockets::new(registry)?,
        };
        // What is counted for the first time must be seen to have grown.
        for reason in FALLBACK_REASONS {
            metrics.fallbacks.with_label_values(&[reason]);
        }
        registry.register(Box::new(metrics.chats.clone()))?;
        registry.register(Box::new(metrics.fallbacks.clone()))?;
        registry.register(Box::new(metrics.cache_hits.clone()))?;
        registry.register(Box::new(metrics.deferred.clone()))?;
        registry.register(Box::new(metrics.chat_seconds.clone()))?;
        registry.register(Box::new(metrics.sessions_active.clone()))?;
        registry.register(Box::new(metrics.breakers.clone()))?;
        registry.register(Box::new(metrics.event_streams.clone()))?;
        Ok(metrics)
    }

    /// A chat was answered.
    pub(crate) fn chat_answered(&self, provider: ChatProvider, degraded: bool, elapsed: std::time::Duration) {
        let degraded = if degraded { "true" } else { "false" };
        self.chats.with_label_values(&[provider.as_str(), degraded]).inc();
        self.chat_seconds.observe(elapsed.as_secs_f64());
    }

    /// The switch did not answer a chat.
    pub(crate) fn fell_back(&self, reason: &str) {
        self.fallbacks.with_label_values(&[fallback_label(reason)]).inc();
    }

    /// A chat was answered from the answer cache.
    pub(crate) fn cache_hit(&self) {
        self.cache_hits.inc();
    }

    /// A chat was answered before its rows were durable.
    pub(crate) fn deferred(&self) {
        self.deferred.inc();
    }

    /// How many sessions are active.
    pub(crate) fn set_sessions_active(&self, sessions: usize) {
        self.sessions_active.set(i64::try_from(sessions).unwrap_or(i64::MAX));
    }

    /// The state of the breaker of `target`.
    pub(crate) fn set_breaker(&self, target: &str, breaker: &Breaker) {
        self.breakers.with_label_values(&[target]).set(state_number(breaker.snapshot().state));
    }

    /// Counts an event stream until the guard is dropped.
    pub(crate) fn event_stream(&self) -> StreamGuard {
        self.event_streams.inc();
        StreamGuard(self.event_streams.clone())
    }

    /// What is counted of WebSockets.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// How many event streams are open.
    pub(crate) fn event_streams(&self) -> i64 {
        self.event_streams.get()
    }
}

impl Sockets {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let open = IntGauge::new("vx11_websocket_connections_active", "Open WebSockets.")?;
        let unproven =
            IntGauge::new("vx11_websocket_connections_unproven", "WebSockets whose caller is not known yet.")?;
        registry.register(Box::new(unproven.clone()))?;
        let opts = Opts::new("vx11_websocket_messages_total", "WebSocket messages, by direction.");
        let messages = IntCounterVec::new(opts, &["direction"])?;
        registry.register(Box::new(open.clone()))?;
        registry.register(Box::new(messages.clone()))?;
        let [received, sent] = ["in", "out"].map(|direction| messages.with_label_values(&[direction]));
        Ok(Self { open, unproven, received, sent })
    }

    /// Counts a WebSocket until the guard is dropped; `None` where `max` are open.
    pub(crate) fn enter(&self, max: usize) -> Option<StreamGuard> {
        enter(&self.open, max)
    }

    /// The same for one of which it is not yet known who calls.
    pub(crate) fn enter_unproven(&self, max: usize) -> Option<StreamGuard> {
        enter(&self.unproven, max)
    }
}

fn enter(open: &IntGauge, max: usize) -> Option<StreamGuard> {
    open.inc();
    let guard = StreamGuard(open.clone());
    (open.get() <= i64::try_from(max).unwrap_or(i64::MAX)).then_some(guard)
}

/// An open event stream, or an open WebSocket.
#[derive(Debug)]
pub(crate) struct StreamGuard(IntGauge);

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn state_number(state: BreakerState) -> i64 {
    i64::from(state.number())
}

/// A label of bounded cardinality: statuses become their class.
fn fallback_label(reason: &str) -> &'static str {
    match reason {
        reason if reason.starts_with("http_4") => "http_4xx",
        reason if reason.starts_with("http_5") => "http_5xx",
        reason => FALLBACK_REASONS.into_iter().find(|known| *known == reason).unwrap_or("other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fallback_of_each_kind_is_seen_as_growth() {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).expect("registers");
        let shown = || {
            let families = registry.gather();
            let family = families.iter().find(|family| family.name() == "vx11_chat_fallbacks_total").expect("shown");
            family
                .get_metric()
                .iter()
                .map(|one| (one.get_label()[0].value().to_owned(), one.get_counter().get_value()))
                .collect::<Vec<_>>()
        };
        let before = shown();
        assert!(before.len() == FALLBACK_REASONS.len() && before.iter().all(|(_, count)| *count == 0.0), "{before:?}");
        for reason in ["connect", "http_502", "http_418", "something_new"] {
            metrics.fell_back(reason);
        }
        let grown: Vec<_> = shown().into_iter().filter(|(_, count)| *count == 1.0).map(|(reason, _)| reason).collect();
        assert_eq!(
            (grown, shown().len()),
            (["connect", "http_4xx", "http_5xx", "other"].map(str::to_owned).into(), before.len())
        );
    }
}
