//! `POST /operator/api/maintenance`: madre asks for the upkeep of this store; no other service touches it.

use actix_web::post;
use actix_web::web::{self, Data};
use vx11_chassis::ApiError;
use vx11_chassis::extract::Json;
use vx11_contracts::maintenance::PostTaskRequest;
use vx11_store::upkeep::{StoreReport, Upkeep};

use crate::state::State;
use crate::store::retention_rules;

/// Check, back up and count the store, and plan or execute its retention.
#[utoipa::path(operation_id = "run_maintenance", tag = "maintenance", request_body = PostTaskRequest, responses((status = 200, body = StoreReport)))]
#[post("/maintenance")]
pub(crate) async fn run(state: Data<State>, body: Json<PostTaskRequest>) -> Result<web::Json<StoreReport>, ApiError> {
    body.0.check().map_err(|wrong| ApiError::invalid_field(wrong.field, wrong.detail))?;
    let PostTaskRequest { apply, log_days, .. } = body.0;
    let places = &state.places;
    let rules = retention_rules(&places.retention_days, log_days);
    Ok(web::Json(state.store.database().upkeep(Upkeep { backups: places.backups.clone(), rules, apply }).await))
}
