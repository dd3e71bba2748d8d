//! What is counted of the outbox.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use vx11_contracts::intervention::Channel;

use crate::control::Outcome;

/// One channel's metrics, in the service's registry.
#[derive(Clone, Debug)]
pub(crate) struct OutboxMetrics {
    deliveries: IntCounterVec,
    pending: IntGauge,
}

const OUTCOMES: [&str; 3] = ["delivered", "failed", "dead"];

impl OutboxMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(channel: Channel, registry: &Registry) -> prometheus::Result<Self> {
        let (total, pending) = match channel {
            Channel::Webhook => ("vx11_webhook_deliveries_total", "vx11_webhook_deliveries_pending"),
            Channel::Email => ("vx11_email_deliveries_total", "vx11_email_deliveries_pending"),
        };
        let attempts = format!("Attempts to deliver by {channel}, by what came of them.");
        let waiting = format!("What is to be delivered by {channel}, of all replicas.");
        let metrics = Self {
            deliveries: IntCounterVec::new(Opts::new(total, attempts), &["outcome"])?,
            pending: IntGauge::new(pending, waiting)?,
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
