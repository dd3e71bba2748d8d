//! The operator's desk, where people decide, and how many callers may wait before it.

use std::time::{Duration, Instant};

use http::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_chassis::config::Common;
use vx11_chassis::{RequestContext, Shutdown};
use vx11_contracts::headers;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{CancelBody, CreateIntervention, Intervention, RedeemBody};
use vx11_contracts::operator::Envelope;
use vx11_resilience::{RetryAfter, SlidingWindow, SlidingWindowConfig};

use super::metrics::HoldMetrics;
use super::places::{Place, Places};
use crate::config::HoldLimitsConfig;

/// Longest wait for a connection to the operator.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Longest wait for one answer, beyond what it is asked to wait.
const LIMIT: Duration = Duration::from_secs(5);
/// When an intervention that is not there yet is withdrawn again.
const CANCEL_AGAIN: Duration = Duration::from_secs(1);
const INTERVENTIONS: &str = "/operator/api/interventions";

/// The operator as all requests share it, and the places of those that wait.
#[derive(Debug)]
pub(crate) struct Desk {
    operator: ServiceClient,
    places: Places,
    opened: SlidingWindow,
    pub(crate) metrics: HoldMetrics,
    pub(crate) shutdown: Shutdown,
}

/// Why an intervention was not opened.
#[derive(Debug)]
pub(crate) enum Refused {
    /// There is one of this id.
    Exists,
    /// The operator does not take what is to be shown; why.
    Invalid(String),
    /// It does not answer.
    Away(CallError),
}

impl Desk {
    /// # Errors
    /// When the operator's address cannot be called.
    pub(crate) fn new(
        common: &Common,
        limits: HoldLimitsConfig,
        metrics: HoldMetrics,
        shutdown: Shutdown,
    ) -> anyhow::Result<Self> {
        let operator = ServiceClient::new("operator", &common.urls.operator, common.token.as_ref(), CONNECT_LIMIT)?;
        let per_minute = SlidingWindowConfig { limit: limits.opened_per_minute, ..SlidingWindowConfig::default() };
        Ok(Self { operator, places: Places::new(&limits), opened: SlidingWindow::new(per_minute), metrics, shutdown })
    }

    /// A place among those that wait for a request of `caller` that keeps so many `bytes`, where there is one.
    pub(crate) fn place(&self, caller: &str, bytes: usize) -> Option<Place> {
        self.places.take(caller, bytes, &self.metrics)
    }

    /// Counts an intervention that `caller` has opened.
    pub(crate) fn count_opened(&self, caller: &str) -> Result<(), RetryAfter> {
        self.opened.check(caller, Instant::now()).map(drop)
    }

    /// The desk of an organisation; of the platform's where none is named.
    pub(crate) fn of(&self, org: Option<&OrgId>) -> OrgDesk {
        let operator = self.operator.clone();
        match org.and_then(|org| HeaderValue::from_str(org.as_str()).ok()) {
            Some(org) => OrgDesk(operator.with_header(HeaderName::from_static(headers::ORG), org)),
            None => OrgDesk(operator),
        }
    }
}

/// The desk of one organisation. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct OrgDesk(ServiceClient);

impl OrgDesk {
    pub(super) async fn open(
        &self,
        request: &CreateIntervention,
        context: &RequestContext,
    ) -> Result<Intervention, Refused> {
        match self.0.post::<Envelope<Intervention>>(INTERVENTIONS, request, context, LIMIT).await {
            Ok(opened) => Ok(opened.data),
            Err(CallError::Status { status: 409, .. }) => Err(Refused::Exists),
            Err(CallError::Status { status: 422, body: Some(body) }) => Err(Refused::Invalid(body.detail)),
            Err(error) => Err(Refused::Away(error)),
        }
    }

    /// The intervention `id`, where there is one.
    pub(super) async fn find(&self, id: &str, context: &RequestContext) -> Result<Option<Intervention>, CallError> {
        found(self.0.get(&format!("{INTERVENTIONS}/{id}"), context, LIMIT).await)
    }

    /// The same once it is decided, or after so many seconds.
    pub(super) async fn wait(
        &self,
        id: &str,
        seconds: u64,
        context: &RequestContext,
    ) -> Result<Option<Intervention>, CallError> {
        let path = format!("{INTERVENTIONS}/{id}/wait?timeout_seconds={seconds}");
        found(self.0.get(&path, context, LIMIT + Duration::from_secs(seconds)).await)
    }

    /// Takes an approval; whether this call did.
    pub(super) async fn redeem(&self, id: &str, digest: &str, context: &RequestContext) -> Result<bool, CallError> {
        let body = RedeemBody { args_digest: Some(digest.to_owned()) };
        let path = format!("{INTERVENTIONS}/{id}/redeem");
        match self.0.post::<IgnoredAny>(&path, &body, context, LIMIT).await {
            Ok(_) => Ok(true),
            Err(CallError::Status { status: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Withdraws an intervention, if it is undecided.
    pub(super) async fn cancel(&self, id: &str, reason: &str, context: &RequestContext) {
        let body = CancelBody { reason: Some(reason.to_owned()) };
        let path = format!("{INTERVENTIONS}/{id}/cancel");
        let cancel = || self.0.post::<IgnoredAny>(&path, &body, context, LIMIT);
        let mut cancelled = cancel().await;
        if matches!(cancelled, Err(CallError::Status { status: 404, .. })) {
            // It may be on its way there.
            tokio::time::sleep(CANCEL_AGAIN).await;
            cancelled = cancel().await;
        }
        if let Err(error) = cancelled {
            tracing::info!(intervention = id, %error, "an intervention that nobody waits for stays until it expires");
        }
    }
}

fn found(answer: Result<Envelope<Intervention>, CallError>) -> Result<Option<Intervention>, CallError> {
    match answer {
        Ok(found) => Ok(Some(found.data)),
        Err(CallError::Status { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
