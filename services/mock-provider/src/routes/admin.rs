//! `/admin`: what was seen, and what is to go wrong.

use actix_web::web::{self, ThinData};
use actix_web::{HttpResponse, delete, get, post, put};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vx11_chassis::ApiError;
use vx11_chassis::extract::{Json, Query};
use vx11_contracts::ErrorBody;

use crate::State;
use crate::faults::Rule;
use crate::ledger::Entry;

/// Which requests; every condition must hold.
#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct RequestsQuery {
    /// With this correlation id.
    correlation_id: Option<String>,
    /// For this model, faults included.
    model: Option<String>,
    /// With a greater id.
    #[serde(default)]
    #[param(maximum = 4_294_967_295_u32)]
    since: u32,
}

/// How many requests were seen since the log was cleared.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Count {
    count: u64,
}

/// One rule, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Rules {
    Many(Vec<Rule>),
    One(Rule),
}

/// The last requests, oldest first.
#[utoipa::path(tag = "admin", params(RequestsQuery), responses((status = 200, body = Vec<Entry>)))]
#[get("/admin/requests")]
pub(crate) async fn requests(state: ThinData<State>, query: Query<RequestsQuery>) -> web::Json<Vec<Entry>> {
    let RequestsQuery { correlation_id, model, since } = query.0;
    web::Json(state.ledger.list(since.into(), |entry| {
        (correlation_id.is_none() || entry.correlation_id == correlation_id)
            && model.as_ref().is_none_or(|model| entry.model == *model)
    }))
}

/// How many requests were seen.
#[utoipa::path(tag = "admin", responses((status = 200, body = Count)))]
#[get("/admin/requests/count")]
pub(crate) async fn count(state: ThinData<State>) -> web::Json<Count> {
    web::Json(Count { count: state.ledger.seen() })
}

/// Forget the requests.
#[utoipa::path(tag = "admin", responses((status = 204)))]
#[delete("/admin/requests")]
pub(crate) async fn clear(state: ThinData<State>) -> HttpResponse {
    state.ledger.clear();
    HttpResponse::NoContent().finish()
}

/// The rules in force.
#[utoipa::path(tag = "admin", responses((status = 200, body = Vec<Rule>)))]
#[get("/admin/faults")]
pub(crate) async fn faults(state: ThinData<State>) -> web::Json<Vec<Rule>> {
    web::Json(state.faults.rules())
}

/// Replace the rules.
#[utoipa::path(tag = "admin", request_body = Rules, responses((status = 200, body = Vec<Rule>), (status = 422, body = ErrorBody)))]
#[put("/admin/faults")]
pub(crate) async fn set_faults(state: ThinData<State>, body: Json<Rules>) -> Result<web::Json<Vec<Rule>>, ApiError> {
    let rules = match body.0 {
        Rules::Many(rules) => rules,
        Rules::One(rule) => vec![rule],
    };
    state.faults.set(rules).map_err(|error| ApiError::invalid_field("plan", error.to_string()))?;
    Ok(web::Json(state.faults.rules()))
}

/// Remove the rules, and forget how often each plan was asked for.
#[utoipa::path(tag = "admin", responses((status = 204)))]
#[delete("/admin/faults")]
pub(crate) async fn clear_faults(state: ThinData<State>) -> HttpResponse {
    state.faults.reset();
    HttpResponse::NoContent().finish()
}

/// Start over: no rules, no counts, no requests.
#[utoipa::path(tag = "admin", responses((status = 204)))]
#[post("/admin/reset")]
pub(crate) async fn reset(state: ThinData<State>) -> HttpResponse {
    state.faults.reset();
    state.ledger.clear();
    HttpResponse::NoContent().finish()
}
