//! What handlers share.

use std::sync::Arc;

use secrecy::SecretString;
use vx11_chassis::Shutdown;
use vx11_resilience::RetryBudget;

use crate::config::TentaculoConfig;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::trusted::TrustedProxies;
use crate::upstream::Upstreams;

/// Cheap handles; one set a worker.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) config: Arc<TentaculoConfig>,
    /// Whose connections to the services are used.
    pub(crate) worker: usize,
    pub(crate) upstreams: Upstreams,
    pub(crate) limits: Limits,
    pub(crate) trusted: TrustedProxies,
    pub(crate) retries: Arc<RetryBudget>,
    pub(crate) metrics: Metrics,
    /// What the services ask for.
    pub(crate) token: Option<SecretString>,
    pub(crate) shutdown: Shutdown,
}
