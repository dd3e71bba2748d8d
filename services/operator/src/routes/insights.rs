//! `/operator/api/insights` and what belongs to it: what looks wrong, how pilots do, and whom a request suits. Each is
//! off unless the configuration switches it on.

use actix_web::web::{self, Data, Json};
use actix_web::{get, put};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, OpenApi};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{self, Path, Query};
use vx11_contracts::error::PolicyRefusal;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{
    AnomalyReport, InsightPeriod, KeepRouting, PerformanceReport, PilotRouting, PilotScore,
};
use vx11_contracts::operator::Envelope;
use vx11_contracts::{ErrorBody, ErrorCode};

use super::origin::CameFrom;
use super::store_error;
use crate::config::InsightsConfig;
use crate::state::State;

/// Adds the routes, within the scope that is asked for; [`suggestions`] is among those of interventions.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(anomalies).service(performance).service(routing).service(keep_routing);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(anomalies, performance, routing, keep_routing))]
pub(super) struct InsightsApi;

/// Refuses what is switched off.
fn refuse_unless(state: &State, name: &str, is_on: impl Fn(&InsightsConfig) -> bool) -> Result<(), ApiError> {
    if is_on(&state.config.insights) {
        return Ok(());
    }
    Err(ApiError::off_by_policy(PolicyRefusal {
        service: "operator".to_owned(),
        message: format!("operator.insights.{name} is off"),
        recommended_action: format!("set VX11_OPERATOR__INSIGHTS__{}=true", name.to_ascii_uppercase()),
    }))
}

/// Which time is looked at.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnomaliesQuery {
    /// The last hour where absent.
    #[serde(default)]
    period: Option<InsightPeriod>,
}

/// What looks wrong in the organisation's requests, the worst first: authors that ask too much, units that ask one pilot
/// after another, and requests that expire because nobody answers.
#[utoipa::path(operation_id = "list_anomalies", tag = "insights", params(AnomaliesQuery), responses(
    (status = 200, body = Envelope<AnomalyReport>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/insights/anomalies")]
pub(crate) async fn anomalies(
    state: Data<State>,
    caller: Caller,
    query: Query<AnomaliesQuery>,
) -> Result<Json<Envelope<AnomalyReport>>, ApiError> {
    let principal = caller.require(Permission::ReadInterventions)?;
    refuse_unless(&state, "anomalies", |insights| insights.anomalies)?;
    let period = query.0.period.unwrap_or(InsightPeriod::Hour);
    let report = state.desk.anomalies(principal, period, Timestamp::now()).await.map_err(store_error)?;
    Ok(Json(Envelope::new(report)))
}

/// Whose performance, and when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PerformanceQuery {
    /// The last day where absent.
    #[serde(default)]
    period: Option<InsightPeriod>,
    /// Of one pilot only.
    #[param(min_length = 1, max_length = 128)]
    pilot_id: Option<String>,
}

/// How pilots do: how fast they answer, how often they approve, what expires on them. ADMINs see everybody; others the
/// organisation as a whole, and themselves.
#[utoipa::path(operation_id = "pilot_performance", tag = "insights", params(PerformanceQuery), responses(
    (status = 200, body = Envelope<PerformanceReport>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/insights/performance")]
pub(crate) async fn performance(
    state: Data<State>,
    caller: Caller,
    query: Query<PerformanceQuery>,
) -> Result<Json<Envelope<PerformanceReport>>, ApiError> {
    let principal = caller.require(Permission::ReadInterventions)?;
    refuse_unless(&state, "performance", |insights| insights.performance)?;
    let PerformanceQuery { period, pilot_id } = query.0;
    if pilot_id.as_ref().is_some_and(String::is_empty) {
        return Err(ApiError::invalid_field("pilot_id", "not the id of a pilot"));
    }
    let sees = |id: &str| principal.may(Permission::ManagePilots) || *id == *principal.subject;
    if pilot_id.as_ref().is_some_and(|id| !sees(id)) {
        return Err(ApiError::new(ErrorCode::Forbidden, "ADMINs see how others do; you see yourself"));
    }
    let period = period.unwrap_or(InsightPeriod::Day);
    let report = state.desk.performance(principal, period, pilot_id, Timestamp::now()).await.map_err(store_error)?;
    Ok(Json(Envelope::new(report)))
}

/// The pilots whom a request suits, the best first and at most ten, each with what speaks for and against it.
#[utoipa::path(operation_id = "suggest_pilots", tag = "insights", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<Vec<PilotScore>>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/interventions/{id}/suggestions")]
pub(crate) async fn suggestions(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<Envelope<Vec<PilotScore>>>, ApiError> {
    let principal = caller.require(Permission::DecideInterventions)?;
    refuse_unless(&state, "routing", |insights| insights.routing)?;
    let found = state.desk.look(principal, &id).await.map_err(store_error)?;
    let request = found.ok_or_else(|| ApiError::not_found("intervention"))?;
    let ranked = state.desk.suggestions(principal, &request, Timestamp::now()).await.map_err(store_error)?;
    Ok(Json(Envelope::new(ranked)))
}

/// What is known of a pilot for suggestions: skills and working hours.
#[utoipa::path(operation_id = "find_routing", tag = "insights", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<PilotRouting>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/pilots/{id}/routing")]
pub(crate) async fn routing(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<Envelope<PilotRouting>>, ApiError> {
    let principal = caller.require(Permission::ReadPilots)?;
    refuse_unless(&state, "routing", |insights| insights.routing)?;
    let found = state.desk.insights(principal).routing(&id).await.map_err(store_error)?;
    Ok(Json(Envelope::new(found.ok_or_else(|| ApiError::not_found("pilot"))?)))
}

/// Keep what is known of a pilot for suggestions, in place of what was.
#[utoipa::path(operation_id = "keep_routing", tag = "insights", params(("id" = String, Path)), request_body = KeepRouting, responses(
    (status = 200, body = Envelope<PilotRouting>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[put("/pilots/{id}/routing")]
pub(crate) async fn keep_routing(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
    body: extract::Json<KeepRouting>,
) -> Result<Json<Envelope<PilotRouting>>, ApiError> {
    let principal = caller.require(Permission::ManagePolicies)?;
    refuse_unless(&state, "routing", |insights| insights.routing)?;
    let kept = body.0.fit().map_err(|invalid| ApiError::invalid_field(invalid.field, invalid.detail))?;
    let (insights, by) = (state.desk.insights(principal), from.actor(principal));
    let kept = insights.keep_routing(&id, kept, &by, Timestamp::now()).await.map_err(store_error)?;
    Ok(Json(Envelope::new(kept.ok_or_else(|| ApiError::not_found("pilot"))?)))
}
