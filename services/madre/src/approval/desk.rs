//! The operator's desk, where people decide: each organisation's own.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use vx11_chassis::RequestContext;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_contracts::headers;
use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{CancelBody, CreateIntervention, Intervention, RedeemBody};
use vx11_contracts::operator::{AddTurn, Envelope};
use vx11_contracts::unit::{Outcome, RegisterUnit, Reported, Transition, Unit, UnitStatus};

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(3);
const ORG: HeaderName = HeaderName::from_static(headers::ORG);
const INTERVENTIONS: &str = "/operator/api/interventions";
const UNITS: &str = "/operator/api/units";

/// The operator, as madre asks it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Desk(pub(super) ServiceClient);

impl Desk {
    /// The desk of `org`.
    pub(super) fn of(&self, org: &OrgId) -> Self {
        match HeaderValue::from_str(org.as_str()) {
            Ok(told) if !org.is_platform() => Self(self.0.clone().with_header(ORG, told)),
            _ => self.clone(),
        }
    }

    /// Opens an intervention. That there is one of this id already is as good: what it is, is seen with its decision.
    pub(super) async fn open(&self, request: &CreateIntervention, context: &RequestContext) -> Result<(), CallError> {
        settled(self.post(INTERVENTIONS, request, context).await, &[409])
    }

    /// The intervention `id`, where there is one.
    pub(super) async fn find(&self, id: &str, context: &RequestContext) -> Result<Option<Intervention>, CallError> {
        match self.0.get::<Envelope<Intervention>>(&format!("{INTERVENTIONS}/{id}"), context, LIMIT).await {
            Ok(found) => Ok(Some(found.data)),
            Err(CallError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Redeems an approval; whether this call did. Where it did not, the intervention says what has become of it.
    pub(super) async fn redeem(&self, id: &str, digest: String, context: &RequestContext) -> Result<bool, CallError> {
        let body = RedeemBody { args_digest: Some(digest) };
        match self.post(&format!("{INTERVENTIONS}/{id}/redeem"), &body, context).await {
            Ok(()) => Ok(true),
            Err(CallError::Status { status: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Withdraws an intervention, if it is there and undecided.
    pub(super) async fn cancel(&self, id: &str, reason: &str, context: &RequestContext) -> Result<(), CallError> {
        let body = CancelBody { reason: Some(reason.to_owned()) };
        settled(self.post(&format!("{INTERVENTIONS}/{id}/cancel"), &body, context).await, &[404, 409])
    }

    /// Tells a conversation what came of its plan. Told twice it is kept once.
    pub(super) async fn tell(&self, turn: &AddTurn, context: &RequestContext) -> Result<(), CallError> {
        self.post("/operator/api/turns", turn, context).await
    }

    /// Registers a plan as a unit of work. That there is one of this id already is as good, and so is that there are as
    /// many as there may be: a plan needs its decision, and not its place in a list.
    pub(super) async fn register(&self, unit: &RegisterUnit, context: &RequestContext) -> Result<(), CallError> {
        settled(self.post(UNITS, unit, context).await, &[409])
    }

    /// Says what the unit `id` is about to do; why it must not, where that is so. What is not registered may.
    pub(super) async fn report(
        &self,
        id: &str,
        transition: &Transition,
        context: &RequestContext,
    ) -> Result<Option<String>, CallError> {
        let path = format!("{UNITS}/{id}/transitions");
        match self.0.post::<Envelope<Reported>>(&path, transition, context, LIMIT).await {
            Ok(reported) => {
                let verdict = reported.data.verdict;
                Ok((verdict.outcome != Outcome::Allowed).then_some(verdict.reason))
            }
            Err(CallError::Status { status: 404, .. }) => Ok(None),
            Err(CallError::Status { status: 409, body }) => {
                Ok(Some(body.map_or_else(|| "its unit of work has ended".to_owned(), |body| body.detail)))
            }
            Err(error) => Err(error),
        }
    }

    /// Why the unit `id` must not go on, where a pilot has stopped it.
    pub(super) async fn stopped(&self, id: &str, context: &RequestContext) -> Result<Option<String>, CallError> {
        match self.0.get::<Envelope<Unit>>(&format!("{UNITS}/{id}"), context, LIMIT).await {
            Ok(found) if found.data.status == UnitStatus::Active => Ok(None),
            Ok(found) => {
                let reason = found.data.reason.unwrap_or_else(|| "no reason was given".to_owned());
                Ok(Some(format!("its unit of work is {}: {reason}", found.data.status)))
            }
            Err(CallError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, path: &str, body: &impl serde::Serialize, context: &RequestContext) -> Result<(), CallError> {
        self.0.post::<IgnoredAny>(path, body, context, LIMIT).await.map(drop)
    }
}

/// A refusal that says that there is nothing left to do is none.
fn settled(answer: Result<(), CallError>, statuses: &[u16]) -> Result<(), CallError> {
    match answer {
        Err(CallError::Status { status, .. }) if statuses.contains(&status) => Ok(()),
        answer => answer,
    }
}
