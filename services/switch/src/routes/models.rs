//! `GET /v1/models`: the models that can be asked for by name.

use actix_web::web::{Json, Path};
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::openai::{Model, ModelList, OpenAiError};

use crate::gateway::Gateway;

/// Lists the configured models, and those that providers with a key serve under a plain name.
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = 200, body = ModelList)))]
pub(super) async fn list_models(gateway: Gateway) -> Json<ModelList> {
    Json(ModelList { object: "list".to_owned(), data: models(&gateway) })
}

/// One model: of the list, or one that a provider serves under a pattern or its own name.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "openai",
    params(("id" = String, Path, description = "The model's name; may have slashes in it.")),
    responses((status = 200, body = Model), (status = 404, body = OpenAiError))
)]
pub(super) async fn find_model(gateway: Gateway, id: Path<String>) -> Result<Json<Model>, ApiError> {
    let models = models(&gateway);
    if let Some(listed) = models.iter().find(|model| model.id == *id) {
        return Ok(Json(listed.clone()));
    }
    let shared = &gateway.shared;
    let targets = shared.routes.find(&id, None).unwrap_or_default();
    let providers = targets.iter().map(|target| shared.registry.get(target.provider));
    match providers.filter(|provider| provider.is_usable()).map(|provider| &provider.name).next() {
        Some(owner) => Ok(Json(model(&id, owner))),
        None => {
            let known = models.into_iter().map(|model| model.id).collect();
            Err(ApiError::new(ErrorCode::ModelNotFound, format!("the model `{id}` does not exist")).with_known(known))
        }
    }
}

fn models(gateway: &Gateway) -> Vec<Model> {
    let shared = &gateway.shared;
    let listed = shared.routes.listed(|provider| shared.registry.get(provider).is_usable());
    listed.into_iter().map(|(id, owner)| model(id, owner)).collect()
}

fn model(id: &str, owned_by: &str) -> Model {
    // Nobody says when it was made; the field must be there.
    Model { id: id.to_owned(), object: "model".to_owned(), created: 0, owned_by: owned_by.to_owned() }
}
