//! madre, as operator calls it.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use vx11_chassis::RequestContext;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_contracts::madre::{MadreChatRequest, MadreChatResponse};
use vx11_contracts::power::{OpenWindowRequest, PolicyStatus, PowerState, WindowClosed, WindowOpened};
use vx11_resilience::Breaker;

use super::limit::{Limit, Verdict, verdict};
use super::{CallHeaders, HealthGate};

/// Longest wait for anything but chat.
const LIMIT: Duration = Duration::from_secs(5);

/// madre. Cheap to clone; clones share gate and breaker. As the last resort it is asked whatever its health, which is
/// only for people to know.
#[derive(Clone, Debug)]
pub(crate) struct Madre {
    client: ServiceClient,
    gate: Arc<HealthGate>,
    breaker: Arc<Breaker>,
}

/// Why madre gave no answer to a chat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MadreError {
    /// It was not asked: its breaker is open.
    #[error("its circuit is open")]
    CircuitOpen,
    /// It was asked, and the call failed.
    #[error(transparent)]
    Failed(#[from] CallError),
}

#[derive(Deserialize)]
struct Trail {
    actions: Vec<Action>,
}

impl Madre {
    /// madre behind `client`.
    pub(crate) fn new(client: ServiceClient, gate: Arc<HealthGate>, breaker: Arc<Breaker>) -> Self {
        Self { client, gate, breaker }
    }

    /// The breaker of chats to it.
    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Asks the engine of last resort.
    ///
    /// # Errors
    /// When its breaker is open, or the call fails.
    pub(crate) async fn chat(
        &self,
        request: &MadreChatRequest,
        context: &RequestContext,
        on_behalf: CallHeaders<'_>,
        limit: Limit,
    ) -> Result<MadreChatResponse, MadreError> {
        let permit = self.breaker.try_acquire().map_err(|_| MadreError::CircuitOpen)?;
        let client = on_behalf.on(&self.client);
        let answer = client.post("/madre/chat", request, context, limit.wait).await;
        match answer.as_ref().map_err(|error| verdict(error, limit)) {
            Ok(_) | Err(Verdict::Well) => _ = permit.success(),
            Err(Verdict::Unwell) => _ = permit.failure(),
            Err(Verdict::Gone) => {
                permit.failure();
                self.gate.mark_unhealthy();
            }
            Err(Verdict::Unknown) => {}
        }
        Ok(answer?)
    }

    /// Mode, driver, window and services.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn power_state(&self, context: &RequestContext) -> Result<PowerState, CallError> {
        self.get("/madre/power/state", context).await
    }

    /// Whether the policy `solo_madre` is in force.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn policy(&self, context: &RequestContext) -> Result<PolicyStatus, CallError> {
        self.get("/madre/power/policy/solo_madre/status", context).await
    }

    /// Opens a power window.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn open_window(
        &self,
        request: &OpenWindowRequest,
        context: &RequestContext,
    ) -> Result<WindowOpened, CallError> {
        self.client.post("/madre/power/window/open", request, context, LIMIT).await
    }

    /// Closes the power window.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn close_window(&self, context: &RequestContext) -> Result<WindowClosed, CallError> {
        self.client.post("/madre/power/window/close", &Value::Object(serde_json::Map::new()), context, LIMIT).await
    }

    /// madre's part of a request's trail, as far as it is of `org`.
    ///
    /// # Errors
    /// When the call fails.
    pub(crate) async fn audit(
        &self,
        org: &OrgId,
        correlation_id: &str,
        context: &RequestContext,
    ) -> Result<Vec<Action>, CallError> {
        let mut path =
            url::Url::parse("http://m/madre/audit/").map_err(|error| CallError::Schema(error.to_string()))?;
        if let Ok(mut segments) = path.path_segments_mut() {
            segments.pop_if_empty().push(correlation_id);
        }
        let told = HeaderValue::from_str(org.as_str()).ok();
        let client = CallHeaders { org: told.as_ref(), ..CallHeaders::default() }.on(&self.client);
        let Trail { mut actions } = client.get(path.path(), context, LIMIT).await?;
        // An older madre tells of everybody's.
        actions.retain(|action| action.org_id == *org);
        Ok(actions)
    }

    async fn get<A: DeserializeOwned>(&self, path: &str, context: &RequestContext) -> Result<A, CallError> {
        self.client.get(path, context, LIMIT).await
    }
}
