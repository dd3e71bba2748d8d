//! `GET /v1/models`

use actix_web::web::{self, ThinData};
use actix_web::{HttpRequest, HttpResponse, get};
use vx11_contracts::openai::{Model, ModelList, OpenAiError};

use super::{check_key, no_such_model};
use crate::State;
use crate::domain::models::{MODELS, exists};
use crate::wire::Wire;

/// Unix seconds of every model's making; fixed, as everything here.
const CREATED: i64 = 1_700_000_000;

/// Every model.
#[utoipa::path(tag = "openai", responses((status = 200, body = ModelList), (status = 401, body = OpenAiError)))]
#[get("/v1/models")]
pub(crate) async fn list(state: ThinData<State>, http: HttpRequest) -> HttpResponse {
    if let Err(refusal) = check_key(&state, &http, Wire::OpenAi) {
        return Wire::OpenAi.refuse(&refusal);
    }
    let data = MODELS.iter().map(|name| model(name)).collect();
    HttpResponse::Ok().json(ModelList { object: "list".to_owned(), data })
}

/// One model.
#[utoipa::path(tag = "openai", params(("id" = String, Path)), responses(
    (status = 200, body = Model),
    (status = 404, body = OpenAiError),
))]
#[get("/v1/models/{id}")]
pub(crate) async fn show(state: ThinData<State>, http: HttpRequest, id: web::Path<String>) -> HttpResponse {
    match check_key(&state, &http, Wire::OpenAi) {
        Err(refusal) => Wire::OpenAi.refuse(&refusal),
        Ok(()) if !exists(&id) => Wire::OpenAi.refuse(&no_such_model(&id).into()),
        Ok(()) => HttpResponse::Ok().json(model(&id)),
    }
}

fn model(name: &str) -> Model {
    Model { id: name.to_owned(), object: "model".to_owned(), created: CREATED, owned_by: "vx11-mock".to_owned() }
}
