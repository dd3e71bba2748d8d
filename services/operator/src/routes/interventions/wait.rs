//! `GET /operator/api/interventions/{id}/wait`: a long poll.

use std::time::{Duration, Instant};

use actix_web::get;
use actix_web::web::{Data, Json};
use serde::Deserialize;
use utoipa::IntoParams;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::{Path, Query};
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorBody;
use vx11_contracts::identity::Permission;
use vx11_contracts::intervention::Answer;
use vx11_contracts::operator::Envelope;

use super::{seen_by, store_error};
use crate::desk::WaitError;
use crate::state::State;

/// How long.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitQuery {
    /// Most seconds to wait: 0 to 300, 30 where absent. `x-vx11-deadline-ms` counts too.
    #[param(maximum = 300)]
    timeout_seconds: Option<u64>,
}

const DEFAULT_SECONDS: u64 = 30;
const MAX_SECONDS: u64 = 300;
/// Seconds after which one who may not wait now may come again.
const RETRY_AFTER: u64 = 5;

/// Wait until it is decided, or for a while.
///
/// Answers at once where it is decided, expired or closed. After the wait, or a moment before the deadline that the
/// caller or the edge has set, it answers with the request as it stands: whoever still wants the decision asks again.
#[utoipa::path(operation_id = "wait_for_intervention", tag = "interventions", params(("id" = String, Path), WaitQuery), responses(
    (status = 200, body = Envelope<Answer>),
    (status = 404, body = ErrorBody),
    (status = 422, body = ErrorBody),
    (status = 429, body = ErrorBody, description = "too many callers of the organisation wait"),
    (status = 503, body = ErrorBody),
))]
#[get("/interventions/{id}/wait")]
pub(crate) async fn wait(
    state: Data<State>,
    caller: Caller,
    context: RequestContext,
    id: Path<String>,
    query: Query<WaitQuery>,
) -> Result<Json<Envelope<Answer>>, ApiError> {
    let seconds = query.0.timeout_seconds.unwrap_or(DEFAULT_SECONDS);
    if seconds > MAX_SECONDS {
        return Err(ApiError::invalid_field("timeout_seconds", format!("must be 0 to {MAX_SECONDS}")));
    }
    let asked = Duration::from_secs(seconds);
    // The answer needs a moment of what the caller allows.
    let allowed = context.deadline.map_or(asked, |deadline| asked.min(deadline.remaining().saturating_sub(SPARE)));
    // Before it waits: of others' requests an agent's key does not learn even when they end.
    if !caller.0.may(Permission::ReadInterventions) {
        let found = state.desk.look(&caller.0, &id).await.map_err(store_error)?;
        seen_by(&caller, found)?;
    }
    let found = state.desk.wait(&caller.0, &id, (Instant::now() + allowed).into(), &state.shutdown).await;
    let found = found.map_err(|error| match error {
        WaitError::TooMany => ApiError::rate_limited(RETRY_AFTER, "too many callers of the organisation wait already"),
        WaitError::Store(error) => store_error(error),
    });
    Ok(Json(Envelope::new(Answer::from(seen_by(&caller, found?)?))))
}

/// What is kept of a caller's deadline for the answer itself.
const SPARE: Duration = Duration::from_millis(50);
