//! `/operator/api/chat/window`: power windows, for people.

use actix_web::web::{self, Data};
use actix_web::{get, post};
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::error::PolicyRefusal;
use vx11_contracts::event::Action;
use vx11_contracts::operator::Envelope;
use vx11_contracts::power::{OpenWindowRequest, PowerState, WindowClosed, WindowOpened};

use super::madre_error;
use crate::state::State;
use crate::store::{Record, action};

/// Enable services for a while.
#[utoipa::path(operation_id = "open_window", tag = "power", request_body = OpenWindowRequest, responses(
    (status = 200, body = Envelope<WindowOpened>),
    (status = 403, body = ErrorBody, description = "operator control is off"),
    (status = 409, body = ErrorBody),
    (status = 422, body = ErrorBody),
))]
#[post("/chat/window/open")]
pub(crate) async fn open(
    state: Data<State>,
    context: RequestContext,
    body: Json<OpenWindowRequest>,
) -> Result<web::Json<Envelope<WindowOpened>>, ApiError> {
    Ok(web::Json(Envelope::new(open_window(&state, &context, &body.0).await?)))
}

/// End the open window.
#[utoipa::path(operation_id = "close_window", tag = "power", responses(
    (status = 200, body = Envelope<WindowClosed>),
    (status = 403, body = ErrorBody, description = "operator control is off"),
    (status = 404, body = ErrorBody),
))]
#[post("/chat/window/close")]
pub(crate) async fn close(
    state: Data<State>,
    context: RequestContext,
) -> Result<web::Json<Envelope<WindowClosed>>, ApiError> {
    Ok(web::Json(Envelope::new(close_window(&state, &context).await?)))
}

/// Mode, window and services.
#[utoipa::path(operation_id = "show_window", tag = "power", responses((status = 200, body = Envelope<PowerState>), (status = 503, body = ErrorBody)))]
#[get("/chat/window/status")]
pub(crate) async fn show(
    state: Data<State>,
    context: RequestContext,
) -> Result<web::Json<Envelope<PowerState>>, ApiError> {
    let power = state.madre.power_state(&context).await.map_err(madre_error)?;
    Ok(web::Json(Envelope::new(power)))
}

pub(super) async fn open_window(
    state: &State,
    context: &RequestContext,
    request: &OpenWindowRequest,
) -> Result<WindowOpened, ApiError> {
    refuse_unless_controlled(state)?;
    let opened = state.madre.open_window(request, context).await.map_err(madre_error)?;
    toggled(state, context, &opened.services_started, "on");
    Ok(opened)
}

pub(super) async fn close_window(state: &State, context: &RequestContext) -> Result<WindowClosed, ApiError> {
    refuse_unless_controlled(state)?;
    let closed = state.madre.close_window(context).await.map_err(madre_error)?;
    toggled(state, context, &closed.services_stopped, "off");
    Ok(closed)
}

/// Refuses what only a controlled operator may do.
pub(super) fn refuse_unless_controlled(state: &State) -> Result<(), ApiError> {
    if state.config.operator_control {
        return Ok(());
    }
    Err(ApiError::off_by_policy(PolicyRefusal {
        service: "operator".to_owned(),
        message: "operator control is off".to_owned(),
        recommended_action: "set VX11_OPERATOR__OPERATOR_CONTROL=true, or ask madre directly".to_owned(),
    }))
}

/// Says on the event stream what was switched on or off.
fn toggled(state: &State, context: &RequestContext, services: &[String], status: &'static str) {
    for service in services {
        let row = Action {
            target: Some(service.clone()),
            ..action(&*context.correlation_id, "power_window", "feature_toggle", status)
        };
        // The writer keeps it, or counts that it had no room.
        let _ = state.store.writer.try_enqueue(Record::Action(row));
    }
}
