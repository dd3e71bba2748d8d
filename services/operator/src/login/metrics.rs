//! What is counted of logins.

use prometheus::{IntCounterVec, Opts, Registry};
use vx11_chassis::ApiError;

/// Metrics of logins, in the service's registry.
#[derive(Clone, Debug)]
pub(crate) struct LoginMetrics {
    logins: IntCounterVec,
}

/// How a login, or a refresh, ended.
const OUTCOMES: [&str; 3] = ["ok", "refused", "failed"];

impl LoginMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// When a name is taken.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let options =
            Opts::new("vx11_logins_total", "Logins by way and outcome, and sessions that went on (`refresh`).");
        let metrics = Self { logins: IntCounterVec::new(options, &["way", "outcome"])? };
        registry.register(Box::new(metrics.logins.clone()))?;
        Ok(metrics)
    }

    /// Shows a way from the beginning: what is counted for the first time must be seen to have grown.
    pub(super) fn show(&self, way: &str) {
        for outcome in OUTCOMES {
            self.logins.with_label_values(&[way, outcome]);
        }
    }

    /// Counts an attempt by a way that is configured.
    pub(super) fn count(&self, way: &str, refused: Option<&ApiError>) {
        let outcome = match refused.map(|error| error.code().status()) {
            None => "ok",
            Some(400..500) => "refused",
            Some(_) => "failed",
        };
        self.logins.with_label_values(&[way, outcome]).inc();
    }
}
