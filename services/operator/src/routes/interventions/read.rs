//! Lists, one request, its history, and the counts.

use actix_web::get;
use actix_web::web::{Data, Json};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Path, Query};
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{
    Cursor, HistoryEntry, Intervention, InterventionMetrics, InterventionPage, ListInterventions,
};
use vx11_contracts::operator::Envelope;

use super::{seen_by, store_error};
use crate::routes::page_size;
use crate::state::State;

/// What waits, the most urgent first; or what stands elsewhere, the newest first.
#[utoipa::path(operation_id = "list_interventions", tag = "interventions", params(ListInterventions), responses(
    (status = 200, body = Envelope<InterventionPage>),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/interventions")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<ListInterventions>,
) -> Result<Json<Envelope<InterventionPage>>, ApiError> {
    let principal = caller.require(Permission::ReadInterventions)?;
    let query = query.0;
    page_size(query.limit)?;
    if query.offset.is_some_and(|offset| offset > MAX_OFFSET) {
        return Err(ApiError::invalid_field("offset", format!("at most {MAX_OFFSET}; `cursor` goes on from there")));
    }
    let cursor = query.cursor.as_deref().map(str::parse::<Cursor>).transpose();
    let cursor = cursor.map_err(|wrong| ApiError::invalid_field("cursor", wrong))?;
    let page = state.desk.interventions(principal).list(query, cursor, Timestamp::now()).await.map_err(store_error)?;
    Ok(Json(Envelope::new(page)))
}

/// Most rows that are left out.
const MAX_OFFSET: u32 = 10_000;

/// One request, as it stands now. An agent's key finds those that it opened itself.
#[utoipa::path(operation_id = "find_intervention", tag = "interventions", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<Intervention>),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/interventions/{id}")]
pub(crate) async fn detail(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<Json<Envelope<Intervention>>, ApiError> {
    let found = state.desk.look(&caller.0, &id).await.map_err(store_error)?;
    Ok(Json(Envelope::new(seen_by(&caller, found)?)))
}

/// Which of the past.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    /// Of one request only.
    request_id: Option<String>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// What became of past requests, the newest first.
#[utoipa::path(operation_id = "intervention_history", tag = "interventions", params(HistoryQuery), responses(
    (status = 200, body = Envelope<Vec<HistoryEntry>>),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/interventions/history")]
pub(crate) async fn history(
    state: Data<State>,
    caller: Caller,
    query: Query<HistoryQuery>,
) -> Result<Json<Envelope<Vec<HistoryEntry>>>, ApiError> {
    let principal = caller.require(Permission::ReadInterventions)?;
    let limit = page_size(query.0.limit)?;
    let entries = state.desk.interventions(principal).history(query.0.request_id, limit).await.map_err(store_error)?;
    Ok(Json(Envelope::new(entries)))
}

/// How many there are of each sort, how long decisions take, and who decides most.
#[utoipa::path(operation_id = "intervention_metrics", tag = "interventions", responses(
    (status = 200, body = Envelope<InterventionMetrics>),
    (status = 503, body = ErrorBody),
))]
#[get("/interventions/metrics")]
pub(crate) async fn metrics(
    state: Data<State>,
    caller: Caller,
) -> Result<Json<Envelope<InterventionMetrics>>, ApiError> {
    let principal = caller.require(Permission::ReadInterventions)?;
    let metrics = state.desk.interventions(principal).metrics().await.map_err(store_error)?;
    Ok(Json(Envelope::new(metrics)))
}
