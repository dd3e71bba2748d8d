//! `GET /v1/models`

use actix_web::web::{self, ThinData};
use actix_web::{HttpRequest, get};
use vx11_chassis::ApiError;
use vx11_contracts::openai::{Model, ModelList, OpenAiError};

use super::{check_key, fault};
use crate::State;
use crate::domain::models::{MODELS, exists};

/// Unix seconds of every model's making; fixed, as everything here.
const CREATED: i64 = 1_700_000_000;

/// Every model.
#[utoipa::path(tag = "openai", responses((status = 200, body = ModelList), (status = 401, body = OpenAiError)))]
#[get("/v1/models")]
pub(crate) async fn list(state: ThinData<State>, http: HttpRequest) -> Result<web::Json<ModelList>, ApiError> {
    check_key(&state, &http)?;
    Ok(web::Json(ModelList { object: "list".to_owned(), data: MODELS.iter().map(|name| model(name)).collect() }))
}

/// One model.
#[utoipa::path(tag = "openai", params(("id" = String, Path)), responses(
    (status = 200, body = Model),
    (status = 404, body = OpenAiError),
))]
#[get("/v1/models/{id}")]
pub(crate) async fn show(
    state: ThinData<State>,
    http: HttpRequest,
    id: web::Path<String>,
) -> Result<web::Json<Model>, ApiError> {
    check_key(&state, &http)?;
    if !exists(&id) {
        return Err(fault::no_such_model(&id));
    }
    Ok(web::Json(model(&id)))
}

fn model(name: &str) -> Model {
    Model { id: name.to_owned(), object: "model".to_owned(), created: CREATED, owned_by: "vx11-mock".to_owned() }
}
