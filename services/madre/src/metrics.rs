//! What madre counts besides its requests.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::madre::Risk;

/// Handles to madre's own series.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    plans: IntCounterVec,
    windows_open: IntGauge,
}

impl Metrics {
    /// Registers the series.
    pub(crate) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let plans = Opts::new("vx11_madre_plans_total", "Plans by risk and by each status they came to.");
        let plans = IntCounterVec::new(plans, &["risk", "status"])?;
        let windows_open = IntGauge::new("vx11_madre_power_windows_open", "Power windows that are open: 0 or 1.")?;
        registry.register(Box::new(plans.clone()))?;
        registry.register(Box::new(windows_open.clone()))?;
        Ok(Self { plans, windows_open })
    }

    /// A plan has come to `status`.
    pub(crate) fn plan(&self, risk: Risk, status: ChatStatus) {
        self.plans.with_label_values(&[risk.as_str(), status.as_str()]).inc();
    }

    /// Whether a window is open.
    pub(crate) fn window(&self, is_open: bool) {
        self.windows_open.set(is_open.into());
    }
}
