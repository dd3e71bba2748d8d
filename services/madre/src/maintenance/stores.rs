//! The stores there are, and how each is asked for its upkeep.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;
use vx11_chassis::RequestContext;
use vx11_chassis::client::ServiceClient;
use vx11_contracts::maintenance::PostTaskRequest;
use vx11_store::upkeep::{StoreReport, Upkeep};

use crate::store::{Store, retention_rules};

/// Longest wait for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// madre's own.
pub(super) async fn own(
    store: &Store,
    backups: PathBuf,
    retention_days: &BTreeMap<String, u32>,
    request: &PostTaskRequest,
) -> StoreReport {
    let rules = retention_rules(retention_days, request.log_days);
    store.database().upkeep(Upkeep { backups, rules, apply: request.apply }).await
}

/// Another service's, which only that service touches.
pub(crate) struct RemoteStore {
    /// The service.
    pub(crate) name: &'static str,
    pub(crate) base: Url,
    /// Where it is asked for its upkeep.
    pub(crate) path: &'static str,
    pub(crate) token: Option<SecretString>,
    /// Longest wait for its upkeep.
    pub(crate) limit: Duration,
}

impl RemoteStore {
    /// Asks the service. The client is made for this one call: upkeep runs a few times a day, too seldom to keep a
    /// connection for.
    pub(super) async fn upkeep(
        &self,
        request: &PostTaskRequest,
        context: &RequestContext,
    ) -> Result<StoreReport, String> {
        let client = ServiceClient::new(self.name, &self.base, self.token.as_ref(), CONNECT_LIMIT);
        let client = client.map_err(|error| error.to_string())?;
        let report = client.post(self.path, request, context, self.limit).await;
        report.map_err(|error| format!("{} {error}", self.name))
    }
}
