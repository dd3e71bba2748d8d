//! `/operator/api/guard-rules`: rules that hold for every unit of an organisation.

use actix_web::web::{self, Data, Path};
use actix_web::{delete, get, put};
use jiff::Timestamp;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::Json;
use vx11_contracts::identity::Permission;
use vx11_contracts::operator::Envelope;
use vx11_contracts::unit::{GuardRule, KeepRule, OrgRule, RULES_OF_ORG, is_id};
use vx11_contracts::{ErrorBody, ErrorCode};

use super::attempt::Attempt;
use super::origin::CameFrom;
use super::store_error;
use super::units::invalid;
use crate::state::State;

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(list).service(keep).service(remove);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(list, keep, remove))]
pub(super) struct GuardRulesApi;

/// The rules that every unit of the organisation is held against, beside its own.
#[utoipa::path(operation_id = "list_guard_rules", tag = "units", responses(
    (status = 200, body = Envelope<Vec<OrgRule>>),
    (status = 403, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/guard-rules")]
pub(crate) async fn list(state: Data<State>, caller: Caller) -> Result<web::Json<Envelope<Vec<OrgRule>>>, ApiError> {
    let principal = caller.require(Permission::ReadUnits)?;
    let rules = state.desk.units(principal).rules().await.map_err(store_error)?;
    Ok(web::Json(Envelope::new(rules)))
}

/// Keep a rule, in place of one of this id. It holds for every transition from now on.
#[utoipa::path(operation_id = "keep_guard_rule", tag = "units", params(
    ("rule_id" = String, Path, min_length = 1, max_length = 128, pattern = "^[A-Za-z0-9._:-]{1,128}$"),
), request_body = KeepRule, responses(
    (status = 200, body = Envelope<OrgRule>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "there are 64 already"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[put("/guard-rules/{rule_id}")]
pub(crate) async fn keep(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
    body: Json<KeepRule>,
) -> Result<web::Json<Envelope<OrgRule>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "guard_rule.keep");
    let kept = async {
        let principal = caller.require(Permission::ManagePolicies)?;
        let rule = GuardRule { rule_id: id.clone(), guardian: body.0.guardian, otherwise: body.0.otherwise };
        rule.validate("").map_err(invalid)?;
        let units = state.desk.units(principal);
        let kept = units.keep_rule(rule, &attempt.actor(), Timestamp::now()).await.map_err(store_error)?;
        let full = || ApiError::new(ErrorCode::Conflict, format!("an organisation has at most {RULES_OF_ORG} rules"));
        kept.ok_or_else(full)
    };
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), kept.await).await?)))
}

/// Remove a rule.
#[utoipa::path(operation_id = "remove_guard_rule", tag = "units", params(("rule_id" = String, Path)), responses(
    (status = 200, body = Envelope<bool>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[delete("/guard-rules/{rule_id}")]
pub(crate) async fn remove(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
) -> Result<web::Json<Envelope<bool>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "guard_rule.remove");
    let removed = async {
        let principal = caller.require(Permission::ManagePolicies)?;
        let none = || ApiError::not_found("rule");
        if !is_id(&id) {
            return Err(none());
        }
        let units = state.desk.units(principal);
        let removed = units.remove_rule(&id, &attempt.actor(), Timestamp::now()).await.map_err(store_error)?;
        if removed { Ok(true) } else { Err(none()) }
    };
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), removed.await).await?)))
}
