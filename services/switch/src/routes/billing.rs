//! The one place where a request's bill is opened, and what a caller is told whose request is not let in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpMessage, HttpRequest};
use vx11_chassis::header_names::ORG;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::{BadOrgId, OrgId};

use crate::accounts::{Asked, Bill, Caller, Denied, Level, Refused, Usd};
use crate::cache::Passage;
use crate::domain::request::ChatRequest;
use crate::domain::routing::Target;
use crate::gateway::Gateway;

/// Opens the bill of `payer` for `request`, which leads to `targets`, unless its answer is kept. `intervention`: who
/// approved it.
///
/// # Errors
/// When the key may not use the model, or a limit is reached.
#[expect(clippy::too_many_arguments, reason = "two routes put it together from what they have")]
pub(super) async fn open_bill(
    gateway: &Gateway,
    payer: Caller,
    context: &RequestContext,
    request: &ChatRequest,
    targets: &[Target],
    passage: &Passage,
    started: Instant,
    intervention: Option<Arc<str>>,
) -> Result<Bill, ApiError> {
    let model = request.model.as_str();
    let asked = Asked { is_kept: passage.is_kept(), intervention, ..asked(request, &context.correlation_id, started) };
    let models = targets.iter().map(|target| &*target.model);
    gateway.shared.accounts.bill(payer, asked, models).await.map_err(|denied| refuse(denied, model))
}

/// Who pays for a request of `caller`: the caller, or the organisation that a service asks it for.
///
/// # Errors
/// When the organisation is none, or it cannot be told what it has spent.
pub(super) async fn payer(gateway: &Gateway, http: &HttpRequest, caller: &Caller) -> Result<Caller, ApiError> {
    let Caller::Internal = caller else { return Ok(caller.clone()) };
    let Some(org) = http.headers().get(ORG).filter(|org| !org.is_empty()) else { return Ok(Caller::Internal) };
    let org: Option<OrgId> = org.to_str().ok().and_then(|org| org.parse().ok());
    let org = org.ok_or_else(|| ApiError::new(ErrorCode::MalformedRequest, format!("{ORG}: {BadOrgId}")))?;
    let left = http.extensions().get::<RequestContext>().and_then(|context| context.deadline);
    let left = left.map_or(Duration::MAX, |deadline| deadline.remaining());
    gateway.shared.accounts.on_behalf_of(&org, left).await.map_err(|error| {
        let detail = "it cannot be told now what the organisation has spent";
        ApiError::new(ErrorCode::StoreUnavailable, detail).with_cause(error)
    })
}

/// What `request`, which leads to `targets`, is expected to cost; `None` where nobody can tell.
pub(super) fn expected_cost(gateway: &Gateway, request: &ChatRequest, targets: &[Target]) -> Option<Usd> {
    let models = targets.iter().map(|target| &*target.model);
    gateway.shared.accounts.expected_cost(&asked(request, &"".into(), Instant::now()), models)
}

fn asked<'a>(request: &'a ChatRequest, correlation_id: &'a Arc<str>, started: Instant) -> Asked<'a> {
    Asked {
        model: &request.model,
        body: request.body(),
        prompt: request.prompt_tokens(),
        operation: request.operation,
        max_output: request.max_output,
        candidates: request.candidates,
        correlation_id,
        started,
        is_kept: false,
        intervention: None,
    }
}

fn refuse(denied: Denied, model: &str) -> ApiError {
    match denied {
        Denied::Model(known) => {
            let detail = format!("this key may not use the model `{model}`");
            ApiError::new(ErrorCode::ModelNotAllowed, detail).with_known(known)
        }
        Denied::Limit(refused) if refused.is_budget() => {
            let Refused { scope, level, .. } = refused;
            let detail = format!("the budget of {} is spent for this {}", readable(&scope), level.period.as_str());
            ApiError::new(ErrorCode::InsufficientQuota, detail)
                .with_retry_after(seconds(level.reset))
                .with_limit_of(scope)
        }
        Denied::Limit(Refused { scope, level, wanted }) => {
            let Level { unit, period, limit, remaining, reset } = level;
            let detail = format!(
                "{} reached its limit of {limit} {} a {}: {remaining} left, about {wanted} wanted",
                readable(&scope),
                unit.as_str(),
                period.as_str(),
            );
            ApiError::rate_limited(seconds(reset), detail).with_limit_of(scope)
        }
    }
}

/// `org:acme` for people.
fn readable(scope: &str) -> String {
    let (kind, name) = scope.split_once(':').unwrap_or(("key", scope));
    format!("{kind} `{name}`")
}

/// Rounded up: a caller that comes too early would be refused again. A total has no end; a day stands for it.
fn seconds(reset: Duration) -> u64 {
    const DAY: u64 = 24 * 60 * 60;
    const LONGEST: u64 = 31 * DAY;
    let seconds = u64::try_from(reset.as_millis().div_ceil(1000)).unwrap_or(u64::MAX).max(1);
    if seconds > LONGEST { DAY } else { seconds }
}
