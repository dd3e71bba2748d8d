//! `POST /switch/maintenance`: madre asks for the upkeep of this store; no other service touches it.

use actix_web::web::Json;
use vx11_chassis::ApiError;
use vx11_chassis::extract;
use vx11_contracts::error::ErrorBody;
use vx11_contracts::maintenance::PostTaskRequest;
use vx11_store::upkeep::StoreReport;

use crate::gateway::Gateway;

/// Check, back up and count the ledger, and plan or execute its retention.
///
/// The ledger is no log: `log_days` does not shorten how long its rows are kept.
#[utoipa::path(
    post,
    path = "/switch/maintenance",
    tag = "switch",
    request_body = PostTaskRequest,
    responses((status = 200, body = StoreReport), (status = 422, body = ErrorBody))
)]
pub(super) async fn run_maintenance(
    gateway: Gateway,
    body: extract::Json<PostTaskRequest>,
) -> Result<Json<StoreReport>, ApiError> {
    body.0.check().map_err(|wrong| ApiError::invalid_field(wrong.field, wrong.detail))?;
    Ok(Json(gateway.shared.accounts.ledger().upkeep(body.0.apply).await))
}
