//! `/operator/api/pilot`: what pilots do with units of work. Every attempt is in the audit log.

use actix_web::post;
use actix_web::web::{self, Data};
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path};
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::Permission;
use vx11_contracts::operator::Envelope;
use vx11_contracts::unit::{
    CancelUnitBody, Cancelled, ClarificationBody, KillSwitchBody, Paused, ResumeBody, Unit, WaiveBody,
};

use super::attempt::Attempt;
use super::origin::CameFrom;
use super::units::{invalid, known, refused};
use crate::domain::unit::PilotAction;
use crate::state::State;

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.service(kill_switch).service(clarification).service(waive).service(resume).service(cancel);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(kill_switch, clarification, waive, resume, cancel))]
pub(super) struct PilotApi;

type Done = Result<web::Json<Envelope<Unit>>, ApiError>;

/// Does with the unit `id` what is attempted.
async fn on_unit(
    attempt: Attempt<'_>,
    caller: &Caller,
    permission: Permission,
    id: &str,
    action: Result<PilotAction, ApiError>,
) -> Done {
    let done = async {
        let principal = caller.require(permission)?;
        attempt.state.desk.pilot(principal, attempt.actor(), known(id)?, action?).await.map_err(refused)
    };
    Ok(web::Json(Envelope::new(attempt.end(Some(id), done.await).await?)))
}

/// Pause every unit of an instance that is active, silent or about to begin.
#[utoipa::path(operation_id = "kill_switch", tag = "pilot", request_body = KillSwitchBody, responses(
    (status = 200, body = Envelope<Paused>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/pilot/kill-switch")]
pub(crate) async fn kill_switch(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    body: Json<KillSwitchBody>,
) -> Result<web::Json<Envelope<Paused>>, ApiError> {
    let body = body.0;
    let attempt = Attempt::new(&state, &caller, &from, "instance.kill_switch");
    let done = async {
        let principal = caller.require(Permission::KillSwitch)?;
        body.validate().map_err(invalid)?;
        state.desk.kill(principal, attempt.actor(), &body.instance_id, &body.reason).await.map_err(refused)
    };
    Ok(web::Json(Envelope::new(attempt.end(Some(&body.instance_id), done.await).await?)))
}

/// End a unit: it has failed, and what waits for a decision about it is withdrawn. Of a plan of madre's too, by its id.
#[utoipa::path(operation_id = "cancel_unit", tag = "pilot", params(("uow_id" = String, Path)), request_body = CancelUnitBody, responses(
    (status = 200, body = Envelope<Cancelled>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "its work is over: `error.unit`"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/pilot/cancel/{uow_id}")]
pub(crate) async fn cancel(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
    body: Json<CancelUnitBody>,
) -> Result<web::Json<Envelope<Cancelled>>, ApiError> {
    let body = body.0;
    let attempt = Attempt::new(&state, &caller, &from, "unit.cancel");
    let done = async {
        let principal = caller.require(Permission::CancelUnit)?;
        body.validate().map_err(invalid)?;
        state.desk.cancel(principal, attempt.actor(), known(&id)?, body.reason).await.map_err(refused)
    };
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), done.await).await?)))
}

/// Waive the rule that a paused unit is blocked by: once, for what it was about to do. After a kill switch the rule is
/// `kill_switch`.
#[utoipa::path(operation_id = "waive_violation", tag = "pilot", request_body = WaiveBody,
    params(("uow_id" = String, Path), ("guard_rule_id" = String, Path)), responses(
    (status = 200, body = Envelope<Unit>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "it is not paused, or not by this rule: `error.unit`"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[post("/pilot/waive/{uow_id}/{guard_rule_id}")]
pub(crate) async fn waive(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    path: Path<(String, String)>,
    body: Json<WaiveBody>,
) -> Done {
    let (id, rule_id) = path.into_inner();
    let attempt = Attempt::new(&state, &caller, &from, "unit.waive");
    let action = body.0.validate().map_err(invalid).map(|()| PilotAction::Waive { rule_id, reason: body.0.reason });
    on_unit(attempt, &caller, Permission::Waive, &id, action).await
}

/// Declares a route that carries out one action on one unit.
macro_rules! on_unit {
    ($(#[doc = $doc:literal])+ $name:ident $path:literal $id:literal $attempt:literal, $permission:ident, $body:ident => $action:expr) => {
        $(#[doc = $doc])+
        #[utoipa::path(operation_id = $id, tag = "pilot", params(("uow_id" = String, Path)), request_body = $body, responses(
            (status = 200, body = Envelope<Unit>),
            (status = 400, body = ErrorBody),
            (status = 403, body = ErrorBody),
            (status = 404, body = ErrorBody),
            (status = 409, body = ErrorBody, description = "the unit stands elsewhere: `error.unit`"),
            (status = 422, body = ErrorBody),
            (status = 503, body = ErrorBody),
        ))]
        #[post($path)]
        pub(crate) async fn $name(
            state: Data<State>,
            caller: Caller,
            from: CameFrom,
            id: Path<String>,
            body: Json<$body>,
        ) -> Done {
            let attempt = Attempt::new(&state, &caller, &from, $attempt);
            let action = body.0.validate().map_err(invalid).map(|()| ($action)(body.0));
            on_unit(attempt, &caller, Permission::$permission, &id, action).await
        }
    };
}

on_unit! {
    /// Give a unit that nothing is heard of the text that it waits for.
    clarification "/pilot/clarification/{uow_id}" "clarify_unit" "unit.clarify", Clarify, ClarificationBody =>
        |body: ClarificationBody| PilotAction::Clarify { text: body.text }
}

on_unit! {
    /// Let what a unit is parked for pass, once. This decides its intervention too.
    resume "/pilot/resume/{uow_id}" "resume_unit" "unit.resume", Resume, ResumeBody =>
        |body: ResumeBody| PilotAction::Resume { reason: body.reason }
}
