//! `/madre/power`

use actix_web::web::{self, Path, ThinData};
use actix_web::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::error::ErrorBody;
use vx11_contracts::power::{
    OpenWindowRequest, PolicyStatus, PowerState, PowerToken, ServiceActionRequest, ServiceActionResult, WindowClosed,
    WindowOpened,
};

use super::to_its_end;
use crate::services::ServiceAction;
use crate::state::State;

/// Mode, driver, open window, and every service.
#[utoipa::path(tag = "power", context_path = "/madre",
    responses((status = 200, body = PowerState), (status = "default", body = ErrorBody)))]
#[get("/power/state")]
pub(crate) async fn power_state(state: ThinData<State>) -> Result<web::Json<PowerState>, ApiError> {
    Ok(web::Json(state.power.state().await?))
}

/// A power token: works once, for 60 s.
#[utoipa::path(tag = "power", context_path = "/madre",
    responses((status = 200, body = PowerToken), (status = "default", body = ErrorBody)))]
#[get("/power/token")]
pub(crate) async fn token(state: ThinData<State>) -> web::Json<PowerToken> {
    web::Json(state.power.token())
}

/// Open a power window: 409 when one is open, 422 naming the allowed services.
#[utoipa::path(tag = "power", context_path = "/madre", request_body = OpenWindowRequest,
    responses((status = 200, body = WindowOpened), (status = "default", body = ErrorBody)))]
#[post("/power/window/open")]
pub(crate) async fn open_window(
    state: ThinData<State>,
    context: RequestContext,
    body: Json<OpenWindowRequest>,
) -> Result<web::Json<WindowOpened>, ApiError> {
    let power = state.power.clone();
    Ok(web::Json(to_its_end(async move { power.open(body.0, &context.correlation_id).await }).await?))
}

/// Close the power window: 404 when none is open.
#[utoipa::path(tag = "power", context_path = "/madre",
    responses((status = 200, body = WindowClosed), (status = "default", body = ErrorBody)))]
#[post("/power/window/close")]
pub(crate) async fn close_window(
    state: ThinData<State>,
    context: RequestContext,
) -> Result<web::Json<WindowClosed>, ApiError> {
    let power = state.power.clone();
    Ok(web::Json(to_its_end(async move { power.close(&context.correlation_id).await }).await?))
}

/// Whether the policy `solo_madre` is in force.
#[utoipa::path(tag = "power", context_path = "/madre",
    responses((status = 200, body = PolicyStatus), (status = "default", body = ErrorBody)))]
#[get("/power/policy/solo_madre/status")]
pub(crate) async fn policy_status(state: ThinData<State>) -> Result<web::Json<PolicyStatus>, ApiError> {
    Ok(web::Json(state.power.policy().await?))
}

/// Apply the policy `solo_madre`: stop what chat of last resort does not need.
#[utoipa::path(tag = "power", context_path = "/madre",
    responses((status = 200, body = PolicyStatus), (status = "default", body = ErrorBody)))]
#[post("/power/policy/solo_madre/apply")]
pub(crate) async fn apply_policy(
    state: ThinData<State>,
    context: RequestContext,
) -> Result<web::Json<PolicyStatus>, ApiError> {
    let power = state.power.clone();
    Ok(web::Json(to_its_end(async move { power.apply_policy(&context.correlation_id).await }).await?))
}

/// Release the policy `solo_madre`. Starts nothing.
#[utoipa::path(tag = "power", context_path = "/madre",
    responses((status = 200, body = PolicyStatus), (status = "default", body = ErrorBody)))]
#[post("/power/policy/solo_madre/release")]
pub(crate) async fn release_policy(
    state: ThinData<State>,
    context: RequestContext,
) -> Result<web::Json<PolicyStatus>, ApiError> {
    let power = state.power.clone();
    Ok(web::Json(to_its_end(async move { power.release_policy(&context.correlation_id).await }).await?))
}

/// Which action on which service.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ActionPath {
    /// The service.
    name: String,
    /// `start`, `stop` or `restart`.
    action: String,
}

/// Plan to start, stop or restart a service, or do it: `apply` needs a power token and the plan's phrase.
#[utoipa::path(tag = "power", context_path = "/madre", params(ActionPath), request_body = ServiceActionRequest,
    responses((status = 200, body = ServiceActionResult), (status = "default", body = ErrorBody)))]
#[post("/power/service/{name}/{action}")]
pub(crate) async fn act(
    state: ThinData<State>,
    path: Path<ActionPath>,
    context: RequestContext,
    body: Json<ServiceActionRequest>,
) -> Result<web::Json<ServiceActionResult>, ApiError> {
    let ActionPath { name, action } = path.into_inner();
    let action = ServiceAction::ALL.into_iter().find(|known| known.as_str() == action).ok_or_else(|| {
        let known = ServiceAction::ALL.map(|action| action.as_str().to_owned());
        ApiError::not_found("action").with_known(known.to_vec())
    })?;
    let power = state.power.clone();
    let acted = async move { power.act(action, &name, body.0, &context.correlation_id).await };
    Ok(web::Json(to_its_end(acted).await?))
}
