//! `/operator/api/pilots`: an organisation's people.

use actix_web::web::{self, Data};
use actix_web::{delete, get, patch};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Json, Path, Query};
use vx11_contracts::identity::{Permission, Pilot, PilotChange};
use vx11_contracts::operator::{Envelope, Page};
use vx11_contracts::{ErrorBody, ErrorCode};

use crate::control::ChangeError;
use crate::routes::attempt::Attempt;
use crate::routes::origin::CameFrom;
use crate::routes::{page_size, store_error};
use crate::state::State;

/// Which pilots.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct PilotsQuery {
    /// The page's `next` of before.
    after: Option<String>,
    /// 1 to 500; 50 where absent.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// The organisation's pilots, those who are shut out included, in order of their ids.
#[utoipa::path(operation_id = "list_pilots", tag = "identity", params(PilotsQuery), responses(
    (status = 200, body = Envelope<Page<Pilot>>),
    (status = 403, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[get("/pilots")]
pub(crate) async fn list(
    state: Data<State>,
    caller: Caller,
    query: Query<PilotsQuery>,
) -> Result<web::Json<Envelope<Page<Pilot>>>, ApiError> {
    let principal = caller.require(Permission::ReadPilots)?;
    let limit = page_size(query.0.limit)?;
    let items = state.control.pilots(&principal.org).list(query.0.after, limit).await.map_err(store_error)?;
    let full = items.len() == limit as usize;
    let next = items.last().filter(|_| full).map(|last| last.pilot_id.clone());
    Ok(web::Json(Envelope::new(Page { items, next })))
}

/// Change a pilot's role, or shut it out, which ends its sessions; on every replica within five seconds.
#[utoipa::path(operation_id = "change_pilot", tag = "identity", params(("id" = String, Path)), request_body = PilotChange, responses(
    (status = 200, body = Envelope<Pilot>),
    (status = 400, body = ErrorBody),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 409, body = ErrorBody, description = "it is the last ADMIN, and would be none any more"),
    (status = 422, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[patch("/pilots/{id}")]
pub(crate) async fn change(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
    body: Json<PilotChange>,
) -> Result<web::Json<Envelope<Pilot>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "pilot.change");
    let changed = make(&attempt, &caller, &id, body.0).await;
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), changed).await?)))
}

async fn make(attempt: &Attempt<'_>, caller: &Caller, id: &str, asked: PilotChange) -> Result<Pilot, ApiError> {
    let principal = caller.require(Permission::ManagePilots)?;
    let pilots = attempt.state.control.pilots(&principal.org);
    let (by, now) = (attempt.actor(), Timestamp::now());
    let changed = pilots.change_unless_last(id, asked, &by, now).await.map_err(|error| match error {
        ChangeError::LastAdmin => ApiError::new(ErrorCode::Conflict, format!("{error}: make somebody else one first")),
        ChangeError::Store(error) => store_error(error),
    })?;
    attempt.state.verifier.forget_tokens();
    changed.ok_or_else(|| ApiError::not_found("pilot"))
}

/// End all sessions of a pilot, which has to log in anew; on every replica within five seconds.
#[utoipa::path(operation_id = "end_sessions", tag = "identity", params(("id" = String, Path)), responses(
    (status = 200, body = Envelope<Pilot>),
    (status = 403, body = ErrorBody),
    (status = 404, body = ErrorBody),
    (status = 503, body = ErrorBody),
))]
#[delete("/pilots/{id}/sessions")]
pub(crate) async fn end_sessions(
    state: Data<State>,
    caller: Caller,
    from: CameFrom,
    id: Path<String>,
) -> Result<web::Json<Envelope<Pilot>>, ApiError> {
    let attempt = Attempt::new(&state, &caller, &from, "pilot.end_sessions");
    let ended = end(&attempt, &caller, &id).await;
    Ok(web::Json(Envelope::new(attempt.end(Some(&id), ended).await?)))
}

async fn end(attempt: &Attempt<'_>, caller: &Caller, id: &str) -> Result<Pilot, ApiError> {
    let principal = caller.require(Permission::ManagePilots)?;
    let ended = attempt.state.control.pilots(&principal.org).end_sessions(id, &attempt.actor(), Timestamp::now()).await;
    attempt.state.verifier.forget_tokens();
    ended.map_err(store_error)?.ok_or_else(|| ApiError::not_found("pilot"))
}
