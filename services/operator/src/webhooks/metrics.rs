//! What is counted of webhooks.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

use crate::control::Outcome;

/// The outbox's metrics, in the service's registry.
#[derive(Clone, Debug)]
pub(crate) struct WebhookMetrics {
    deliveries: IntCounterVec,
    pending: IntGauge,
}

const OUTCOMES: [&str; 3] = ["delivered", "failed", "dead"];

impl WebhookMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            deliveries: IntCounterVec::new(
                Opts::new("vx11_webhook_deliveries_total", "Attempts to deliver a webhook, by what came of them."),
                &["outcome"],
            )?,
            pending: IntGauge::new(
                "vx11_webhook_deliveries_pending",
                "Webhooks that are to be sent, of all replicas.",
            )?,
        };
        // What is counted for the first time must be seen to have grown.
        for outcome in OUTCOMES {
            metrics.deliveries.with_label_values(&[outcome]);
        }
        registry.register(Box::new(metrics.deliveries.clone()))?;
        registry.register(Box::new(metrics.pending.clone()))?;
        Ok(metrics)
    }

    pub(super) fn attempted(&self, outcome: &Outcome) {
        let outcome = match outcome {
            Outcome::Delivered => "delivered",
            Outcome::Again(..) => "failed",
            Outcome::Dead(_) => "dead",
        };
        self.deliveries.with_label_values(&[outcome]).inc();
    }

    pub(super) fn set_pending(&self, pending: i64) {
        self.pending.set(pending);
    }
}
