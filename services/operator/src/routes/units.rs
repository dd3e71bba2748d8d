//! `/operator/api/units`: what agents report of their work.

use actix_web::http::header::LOCATION;
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, get, post};
use utoipa::OpenApi;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path, Query};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::identity::Permission;
use vx11_contracts::operator::{Envelope, Page};
use vx11_contracts::unit::{
    ListUnits, Outcome, RegisterUnit, Reported, Transition, Unit, UnitCursor, UnitDetail, is_id,
};
use vx11_contracts::{ErrorBody, ErrorCode};

use super::{interventions, page_size, store_error};
use crate::control::UnitError;
use crate::domain::unit::Refusal;
use crate::state::State;

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(create).service(list).service(show).service(transition).service(heartbeat);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(create, list, show, transition, heartbeat))]
pub(super) struct UnitsApi;

/// Register a unit of work. It is `PENDING` until its first transition.
#[utoipa::path(operation_id = "register_unit", tag = "units", request_body = RegisterUnit, responses(
    (status = 201, body = Envelope<Unit>, headers(("Location" = String, description = "the unit's address"))),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "there is one of this id, or the instance has 1000 that have not ended"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/units")]
pub(crate) async fn create(
    state: Data<State>,
    caller: Caller,
    context: RequestContext,
    body: Json<RegisterUnit>,
) -> Result<HttpResponse, ApiError> {
    let principal = caller.require(Permission::ReportUnits)?;
    body.0.validate().map_err(invalid)?;
    let made = state.desk.register(principal, body.0, context.correlation_id.to_string()).await.map_err(refused)?;
    let address = format!("/operator/api/units/{}", made.uow_id);
    Ok(HttpResponse::Created().insert_header((LOCATION, address)).json(Envelope::new(made)))
}

/// Units, the newest first.
#[utoipa::path(operation_id = "list_units", tag = "units", params(ListUnits), responses(
    (status = 200, body = Envelope<Page<Unit>>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/units")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<ListUnits>,
) -> Result<web::Json<Envelope<Page<Unit>>>, ApiError> {
    let principal = caller.require(Permission::ReadUnits)?;
    let query = query.0;
    page_size(query.limit)?;
    if query.instance_id.as_ref().is_some_and(|id| !is_id(id)) {
        return Err(ApiError::invalid_field("instance_id", "1 to 128 of letters, digits, `.`, `_`, `:` and `-`"));
    }
    let cursor = query.cursor.as_deref().map(str::parse::<UnitCursor>).transpose();
    let cursor = cursor.map_err(|wrong| ApiError::invalid_field("cursor", wrong))?;
    let (items, next) = state.desk.units(principal).list(query, cursor).await.map_err(store_error)?;
    Ok(web::Json(Envelope::new(Page { items, next })))
}

/// A unit, with what happened to it. An agent's key finds those that it registered itself.
#[utoipa::path(operation_id = "find_unit", tag = "units", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<UnitDetail>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/units/{id}")]
pub(crate) async fn show(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<web::Json<Envelope<UnitDetail>>, ApiError> {
    let found = state.desk.units(&caller.0).find(known(&id)?).await.map_err(store_error)?;
    let may_see = |found: &UnitDetail| {
        caller.0.may(Permission::ReadUnits)
            || (caller.0.may(Permission::ReportUnits) && found.unit.created_by == *caller.0.subject)
    };
    Ok(web::Json(Envelope::new(found.filter(may_see).ok_or_else(|| ApiError::not_found("unit"))?)))
}

/// Say what a unit is about to do, before it does it.
///
/// 200: it may, and the unit stands there now. 202: a person has to look at it; wait for the intervention that
/// `Location` names, and report it again once the unit is `ACTIVE`: it passes once then. 409: it must not.
#[utoipa::path(operation_id = "report_transition", tag = "units", params(("id" = String, Path)), request_body = Transition, responses(
    (status = 200, body = Envelope<Reported>),
    (status = 202, body = Envelope<Reported>, headers(("Location" = String, description = "the intervention's address"))),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody, description = "it is another's unit"),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "a rule refuses it, or the unit stands elsewhere: `error.unit`"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/units/{id}/transitions")]
pub(crate) async fn transition(
    state: Data<State>,
    caller: Caller,
    context: RequestContext,
    id: Path<String>,
    body: Json<Transition>,
) -> Result<HttpResponse, ApiError> {
    let principal = caller.require(Permission::ReportUnits)?;
    body.0.validate().map_err(invalid)?;
    let reported = state.desk.report(principal, known(&id)?, body.0, context.correlation_id.to_string());
    let reported = reported.await.map_err(refused)?;
    match reported.verdict.outcome {
        Outcome::Allowed => Ok(HttpResponse::Ok().json(Envelope::new(reported))),
        Outcome::Parked => {
            let request = reported.unit.parked.as_ref().and_then(|hold| hold.request_id.as_deref());
            let address = format!("/operator/api/interventions/{}", request.unwrap_or_default());
            Ok(HttpResponse::Accepted().insert_header((LOCATION, address)).json(Envelope::new(reported)))
        }
        Outcome::Denied => Err(denied(&reported)),
    }
}

/// Say that a unit lives. The answer is the unit: what it is told to do stands there.
#[utoipa::path(operation_id = "unit_heartbeat", tag = "units", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<Unit>),
    (status = 403, body = ErrorBody, description = "it is another's unit"),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "its work is over, whatever its agent believes: `error.unit`"),
    (status = 503, body = ErrorBody),
))]
#[post("/units/{id}/heartbeat")]
pub(crate) async fn heartbeat(
    state: Data<State>,
    caller: Caller,
    id: Path<String>,
) -> Result<web::Json<Envelope<Unit>>, ApiError> {
    let principal = caller.require(Permission::ReportUnits)?;
    let unit = state.desk.heartbeat(principal, known(&id)?).await.map_err(refused)?;
    Ok(web::Json(Envelope::new(unit)))
}

fn denied(Reported { verdict, unit }: &Reported) -> ApiError {
    let rule = verdict.rule_id.as_deref().unwrap_or_default();
    let detail = format!("the rule `{rule}` does not allow it: {}; the unit is {}", verdict.reason, unit.status);
    ApiError::unit_stands_at(detail, unit.into())
}

/// An id that a unit can have.
pub(super) fn known(id: &str) -> Result<&str, ApiError> {
    if is_id(id) { Ok(id) } else { Err(ApiError::not_found("unit")) }
}

/// Why nothing was done to a unit, to the caller.
pub(super) fn refused(error: UnitError) -> ApiError {
    let detail = error.to_string();
    match error {
        UnitError::NotFound => ApiError::not_found("unit"),
        UnitError::Exists | UnitError::Full => ApiError::new(ErrorCode::Conflict, detail),
        UnitError::Refused(refusal) => refusal_error(refusal),
        UnitError::Decision(error) => interventions::refused(error),
        UnitError::Store(error) => store_error(error),
    }
}

/// What the rules of units refuse, to the caller.
pub(super) fn refusal_error(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::WrongState { detail, stands_at } => ApiError::unit_stands_at(detail, *stands_at),
        Refusal::NotAuthor => ApiError::new(ErrorCode::Forbidden, refusal.to_string()),
        Refusal::Invalid(field) => invalid(field),
    }
}

/// A field that is not acceptable, to the caller.
pub(super) fn invalid(invalid: vx11_contracts::intervention::InvalidField) -> ApiError {
    ApiError::invalid_field(invalid.field, invalid.detail)
}
