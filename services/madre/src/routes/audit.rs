//! `/madre/audit/{correlation_id}`

use actix_web::get;
use actix_web::web::{self, Path, ThinData};
use vx11_chassis::ApiError;
use vx11_chassis::auth::Caller;
use vx11_contracts::ErrorCode;
use vx11_contracts::error::ErrorBody;
use vx11_contracts::madre::ActionTrail;

use crate::state::State;

/// What madre did for one request, oldest first: of the platform's own, or of `x-vx11-org`.
#[utoipa::path(tag = "audit", context_path = "/madre",
    params(("correlation_id" = String, Path, description = "The request's id.")),
    responses((status = 200, body = ActionTrail), (status = "default", body = ErrorBody)))]
#[get("/audit/{correlation_id}")]
pub(crate) async fn trail(
    state: ThinData<State>,
    caller: Caller,
    correlation_id: Path<String>,
) -> Result<web::Json<ActionTrail>, ApiError> {
    match state.store.actions_of(caller.0.org, correlation_id.into_inner()).await {
        Ok(actions) => Ok(web::Json(ActionTrail { actions })),
        Err(error) => Err(ApiError::new(ErrorCode::StoreUnavailable, "the trail cannot be read now").with_cause(error)),
    }
}
