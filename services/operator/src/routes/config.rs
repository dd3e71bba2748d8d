//! `GET /operator/api/config`

use actix_web::get;
use actix_web::web::{self, Data};
use serde_json::{Value, json};
use url::Url;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_contracts::operator::Envelope;

use crate::state::State;

/// The configuration in force, without secrets, and every endpoint.
#[utoipa::path(operation_id = "show_config", tag = "status", responses((status = 200, body = Envelope<Object>)))]
#[get("/config")]
pub(crate) async fn show(state: Data<State>) -> Result<web::Json<Envelope<Value>>, ApiError> {
    // The section holds no secret; the token is not part of it.
    let operator = serde_json::to_value(&*state.config).map_err(ApiError::internal)?;
    let services: serde_json::Map<String, Value> =
        state.services.iter().map(|peer| (peer.client.name().to_owned(), json!(shown(peer.client.base())))).collect();
    let document = super::OperatorApi::openapi();
    let endpoints: Vec<&String> = document.paths.paths.keys().collect();
    Ok(web::Json(Envelope::new(json!({
        "operator": operator,
        "services": services,
        "retention_days": state.places.retention_days,
        "endpoints": endpoints,
    }))))
}

/// An address without what may be secret in it.
fn shown(base: &Url) -> String {
    let mut shown = base.clone();
    // Only addresses without a host refuse this, and they have neither.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.into()
}
