//! `/operator/api/interventions`: what waits for a person's decision, and the decisions. Older clients find the same at
//! `/api/interventions`.

mod create;
mod decide;
mod read;
mod wait;

use actix_web::web;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_contracts::ErrorCode;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::{Intervention, StandsAt};

use super::{insights, store_error, units};
use crate::control::DecideError;
use crate::domain::intervention::{Refusal, RefusalClass};

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(create::create)
        .service(read::list)
        .service(read::metrics)
        .service(read::history)
        .service(read::detail)
        .service(wait::wait)
        .service(insights::suggestions)
        .service(decide::claim)
        .service(decide::release)
        .service(decide::approve)
        .service(decide::reject)
        .service(decide::edit)
        .service(decide::respond)
        .service(decide::cancel)
        .service(decide::complete)
        .service(decide::redeem);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(
    create::create,
    read::list,
    read::metrics,
    read::history,
    read::detail,
    wait::wait,
    insights::suggestions,
    decide::claim,
    decide::release,
    decide::approve,
    decide::reject,
    decide::edit,
    decide::respond,
    decide::cancel,
    decide::complete,
    decide::redeem
))]
pub(super) struct InterventionsApi;

/// A request as `caller` may see it: any, or, for one whose key is an agent's alone, those that it opened itself.
///
/// # Errors
/// When there is none, or none that is the caller's.
fn seen_by(caller: &Caller, found: Option<Intervention>) -> Result<Intervention, ApiError> {
    let may_see = |request: &Intervention| {
        caller.0.may(Permission::ReadInterventions)
            || (caller.0.may(Permission::OpenInterventions) && request.created_by == *caller.0.subject)
    };
    found.filter(may_see).ok_or_else(|| ApiError::not_found("intervention"))
}

/// Why nothing was changed, to the caller.
pub(super) fn refused(error: DecideError) -> ApiError {
    match error {
        DecideError::NotFound => ApiError::not_found("intervention"),
        DecideError::Store(error) => store_error(error),
        DecideError::Refused { refusal, .. } => refusal_error(refusal),
        DecideError::Unit(refusal) => units::refusal_error(refusal),
    }
}

fn refusal_error(refusal: Refusal) -> ApiError {
    let detail = refusal.to_string();
    match (refusal.class(), refusal) {
        (_, Refusal::Invalid(invalid)) => ApiError::invalid_field(invalid.field, invalid.detail),
        (_, Refusal::WrongState { status, version, decision }) => {
            ApiError::stands_at(detail, StandsAt { status, version, decision: decision.map(|decision| *decision) })
        }
        (RefusalClass::Forbidden, _) => ApiError::new(ErrorCode::Forbidden, detail),
        (RefusalClass::Invalid, _) => ApiError::new(ErrorCode::InvalidField, detail),
        (RefusalClass::Conflict, _) => ApiError::new(ErrorCode::Conflict, detail),
    }
}
