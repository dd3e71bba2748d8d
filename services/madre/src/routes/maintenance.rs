//! `/madre/power/maintenance`

use actix_web::post;
use actix_web::web::{self, ThinData};
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::error::ErrorBody;
use vx11_contracts::maintenance::{PostTaskReport, PostTaskRequest};

use super::to_its_end;
use crate::state::State;

/// Check, thin out, back up and count every store, and keep the evidence: 409 while another run is under way.
#[utoipa::path(tag = "maintenance", context_path = "/madre", request_body = PostTaskRequest,
    responses((status = 200, body = PostTaskReport), (status = "default", body = ErrorBody)))]
#[post("/power/maintenance/post_task")]
pub(crate) async fn post_task(
    state: ThinData<State>,
    context: RequestContext,
    body: Json<PostTaskRequest>,
) -> Result<web::Json<PostTaskReport>, ApiError> {
    let maintenance = state.maintenance.clone();
    Ok(web::Json(to_its_end(async move { maintenance.post_task(body.0, context).await }).await?))
}
