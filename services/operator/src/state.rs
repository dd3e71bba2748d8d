//! What handlers share.

use std::sync::Arc;

use vx11_chassis::Shutdown;
use vx11_chassis::client::ServiceClient;

use crate::audit::Audit;
use crate::chat::Chat;
use crate::clients::Madre;
use crate::config::OperatorConfig;
use crate::control::Control;
use crate::desk::Desk;
use crate::events::EventHub;
use crate::feed::Feeds;
use crate::login::Login;
use crate::metrics_cache::MetricsCache;
use crate::routes::Callers;
use crate::row_total::RowTotal;
use crate::store::Store;
use crate::verifier::Verifier;

/// Cheap handles; one set a worker, because the clients in it belong to their worker.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The section as it is in force.
    pub(crate) config: Arc<OperatorConfig>,
    /// What outlives this process.
    pub(crate) store: Store,
    /// Who may call, and what people decide.
    pub(crate) control: Control,
    /// What was refused, and what proves the audit log.
    pub(crate) audit: Audit,
    /// Who calls.
    pub(crate) verifier: Verifier,
    /// How people come in.
    pub(crate) login: Login,
    /// Requests for people's decisions.
    pub(crate) desk: Desk,
    /// What dashboards are sent of them.
    pub(crate) feeds: Feeds,
    /// Whose WebSockets are open.
    pub(crate) callers: Callers,
    /// Chat.
    pub(crate) chat: Chat,
    /// madre.
    pub(crate) madre: Madre,
    /// The live event stream.
    pub(crate) events: EventHub,
    /// Summaries that were computed lately.
    pub(crate) summaries: Arc<MetricsCache>,
    /// How many rows the store has.
    pub(crate) rows_total: Arc<RowTotal>,
    /// Every other service, for the status page.
    pub(crate) services: Arc<[Peer]>,
    /// Places that hold data.
    pub(crate) places: Arc<Places>,
    /// When to stop.
    pub(crate) shutdown: Shutdown,
}

/// A service that the status page shows.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// What it is for.
    pub(crate) role: &'static str,
    /// Its port.
    pub(crate) port: u16,
    /// How to ask it.
    pub(crate) client: ServiceClient,
}

/// Where things are kept, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Backups of the store.
    pub(crate) backups: std::path::PathBuf,
    /// What retention goes by.
    pub(crate) retention_days: std::collections::BTreeMap<String, u32>,
    /// The shared token, for stream tokens.
    pub(crate) token: Option<secrecy::SecretString>,
}
