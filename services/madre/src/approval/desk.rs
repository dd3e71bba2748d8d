//! The operator's desk, where people decide: each organisation's own.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use serde::de::{DeserializeOwned, IgnoredAny};
use vx11_chassis::RequestContext;
use vx11_chassis::client::{CallError, ServiceClient};
use vx11_contracts::headers;
use vx11_contracts::identity::Principal;
use vx11_contracts::intervention::{CancelBody, CreateIntervention, Intervention, RedeemBody};
use vx11_contracts::madre::Plan;
use vx11_contracts::operator::{AddTurn, Envelope};
use vx11_contracts::unit::{Outcome, RegisterUnit, Reported, Transition, Unit, UnitStatus};

/// Longest wait for one answer.
const LIMIT: Duration = Duration::from_secs(3);
const ORG: HeaderName = HeaderName::from_static(headers::ORG);
const INTERVENTIONS: &str = "/operator/api/interventions";
const UNITS: &str = "/operator/api/units";

/// The operator, as madre asks it about one plan. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    operator: ServiceClient,
    context: RequestContext,
}

/// Whose a plan's unit of work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// madre's, or nobody's: there are as many as there may be, and a plan needs its decision, and not its place in a list.
    Ours,
    /// Somebody has registered another one with the plan's id.
    Foreign,
}

impl Desk {
    /// The desk of the organisation that asked for `plan`, asked in the request that it came from.
    pub(super) fn of(operator: &ServiceClient, plan: &Plan) -> Self {
        let org = &plan.org_id;
        let operator = match HeaderValue::from_str(org.as_str()) {
            Ok(told) if !org.is_platform() => operator.clone().with_header(ORG, told),
            _ => operator.clone(),
        };
        Self { operator, context: RequestContext::internal().with_correlation_id(&plan.correlation_id) }
    }

    /// Opens an intervention. That there is one of this id already is as good: what it is, is seen with its decision.
    pub(super) async fn open(&self, request: &CreateIntervention) -> Result<(), CallError> {
        settled(self.post(INTERVENTIONS, request).await, &[409])
    }

    /// The intervention `id`, where there is one.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Intervention>, CallError> {
        self.get(&format!("{INTERVENTIONS}/{id}")).await
    }

    /// Redeems an approval; whether this call did. Where it did not, the intervention says what has become of it.
    pub(super) async fn redeem(&self, id: &str, digest: String) -> Result<bool, CallError> {
        let body = RedeemBody { args_digest: Some(digest) };
        match self.post(&format!("{INTERVENTIONS}/{id}/redeem"), &body).await {
            Ok(()) => Ok(true),
            Err(CallError::Status { status: 409, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Withdraws an intervention, if it is there and undecided.
    pub(super) async fn cancel(&self, id: &str, reason: &str) -> Result<(), CallError> {
        let body = CancelBody { reason: Some(reason.to_owned()) };
        settled(self.post(&format!("{INTERVENTIONS}/{id}/cancel"), &body).await, &[404, 409])
    }

    /// Tells a conversation what came of its plan. Told twice it is kept once.
    pub(super) async fn tell(&self, turn: &AddTurn) -> Result<(), CallError> {
        self.post("/operator/api/turns", turn).await
    }

    /// Registers a plan as its unit of work, and says whose the unit of `id` is then: one that was there before may be
    /// somebody's who has read the id in a chat, to stop the plan or to see what becomes of it.
    pub(super) async fn register(&self, id: &str, unit: &RegisterUnit) -> Result<Owner, CallError> {
        match self.post(UNITS, unit).await {
            Ok(()) => Ok(Owner::Ours),
            Err(CallError::Status { status: 409, .. }) => {
                let found = self.unit(id).await?;
                let is_foreign = found.is_some_and(|found| {
                    found.created_by != *Principal::service().subject || found.instance_id != unit.instance_id
                });
                Ok(if is_foreign { Owner::Foreign } else { Owner::Ours })
            }
            Err(error) => Err(error),
        }
    }

    /// Says what the unit `id` is about to do; why it must not, where that is so. What is not registered may.
    pub(super) async fn report(&self, id: &str, transition: &Transition) -> Result<Option<String>, CallError> {
        let path = format!("{UNITS}/{id}/transitions");
        match self.operator.post::<Envelope<Reported>>(&path, transition, &self.context, LIMIT).await {
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
    pub(super) async fn stopped(&self, id: &str) -> Result<Option<String>, CallError> {
        let found = self.unit(id).await?.filter(|found| found.status != UnitStatus::Active);
        Ok(found.map(|found| {
            let reason = found.reason.unwrap_or_else(|| "no reason was given".to_owned());
            format!("its unit of work is {}: {reason}", found.status)
        }))
    }

    async fn unit(&self, id: &str) -> Result<Option<Unit>, CallError> {
        self.get(&format!("{UNITS}/{id}")).await
    }

    /// What is at `path`, where there is something.
    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, CallError> {
        match self.operator.get::<Envelope<T>>(path, &self.context, LIMIT).await {
            Ok(found) => Ok(Some(found.data)),
            Err(CallError::Status { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn post(&self, path: &str, body: &impl serde::Serialize) -> Result<(), CallError> {
        self.operator.post::<IgnoredAny>(path, body, &self.context, LIMIT).await.map(drop)
    }
}

/// A refusal that says that there is nothing left to do is none.
fn settled(answer: Result<(), CallError>, statuses: &[u16]) -> Result<(), CallError> {
    match answer {
        Err(CallError::Status { status, .. }) if statuses.contains(&status) => Ok(()),
        answer => answer,
    }
}
