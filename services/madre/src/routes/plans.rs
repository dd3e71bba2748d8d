//! `/madre/plans`

use actix_web::web::{self, Path, ThinData};
use actix_web::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Query};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::chat::ChatStatus;
use vx11_contracts::error::ErrorBody;
use vx11_contracts::madre::{ConfirmRequest, Plan};
use vx11_contracts::operator::Page;

use super::to_its_end;
use crate::plans::{MOST_PLANS, PlanError};
use crate::state::State;

/// Which plans to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PlanQuery {
    /// Only those with this status.
    status: Option<ChatStatus>,
    /// Rows of the page, 1 to 100; 50 where absent.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next` of the page before.
    before: Option<i64>,
}

/// Plans that wait or waited for a confirmation, newest first: the platform's own, or those of `x-vx11-org`.
#[utoipa::path(tag = "plans", context_path = "/madre", params(PlanQuery),
    responses((status = 200, body = Page<Plan>), (status = "default", body = ErrorBody)))]
#[get("/plans")]
pub(crate) async fn list(
    state: ThinData<State>,
    caller: Caller,
    query: Query<PlanQuery>,
) -> Result<web::Json<Page<Plan>>, ApiError> {
    let PlanQuery { status, limit, before } = query.0;
    let limit = limit.unwrap_or(50);
    if !(1..=MOST_PLANS).contains(&limit) {
        return Err(ApiError::invalid_field("limit", format!("must be from 1 to {MOST_PLANS}")));
    }
    Ok(web::Json(state.plans.list(&caller.0.org, status, before, limit).await?))
}

/// One plan.
#[utoipa::path(tag = "plans", context_path = "/madre", params(("id" = String, Path, description = "The plan's id.")),
    responses((status = 200, body = Plan), (status = "default", body = ErrorBody)))]
#[get("/plans/{id}")]
pub(crate) async fn find(
    state: ThinData<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<web::Json<Plan>, ApiError> {
    Ok(web::Json(state.plans.find(&caller.0.org, &id).await?))
}

/// Confirm a waiting plan, which runs it: 403 with a wrong token, 409 when nothing is pending.
#[utoipa::path(tag = "plans", context_path = "/madre", params(("id" = String, Path, description = "The plan's id.")),
    request_body = ConfirmRequest, responses((status = 200, body = Plan), (status = "default", body = ErrorBody)))]
#[post("/plans/{id}/confirm")]
pub(crate) async fn confirm(
    state: ThinData<State>,
    caller: Caller,
    id: Path<String>,
    context: RequestContext,
    body: Json<ConfirmRequest>,
) -> Result<web::Json<Plan>, ApiError> {
    let plans = state.plans.clone();
    let confirmed =
        async move { plans.confirm(&caller.0.org, &id, &body.0.confirm_token, &context.correlation_id).await };
    Ok(web::Json(to_its_end::<_, PlanError>(confirmed).await?))
}
