//! `GET /v1/models`: the models that can be asked for by name.

use actix_web::HttpRequest;
use actix_web::web::{Json, Path};
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::openai::{Model, ModelList, OpenAiError};

use crate::accounts::Caller;
use crate::gateway::Gateway;

/// Lists the configured models, and those that providers with a key serve under a plain name; of these, what the
/// caller's key may ask for.
#[utoipa::path(get, path = "/v1/models", tag = "openai", responses((status = 200, body = ModelList), (status = "default", body = OpenAiError)))]
pub(super) async fn list_models(gateway: Gateway, http: HttpRequest) -> Json<ModelList> {
    Json(ModelList { object: "list".to_owned(), data: models(&gateway, &Caller::of(&http)) })
}

/// One model: of the list, or one that a provider serves under a pattern or its own name. One that the caller's key may
/// not ask for does not exist.
#[utoipa::path(
    get,
    path = "/v1/models/{id}",
    tag = "openai",
    params(("id" = String, Path, description = "The model's name; may have slashes in it.")),
    responses((status = 200, body = Model), (status = 404, body = OpenAiError), (status = "default", body = OpenAiError))
)]
pub(super) async fn find_model(gateway: Gateway, id: Path<String>, http: HttpRequest) -> Result<Json<Model>, ApiError> {
    let caller = Caller::of(&http);
    let models = models(&gateway, &caller);
    if let Some(listed) = models.iter().find(|model| model.id == *id) {
        return Ok(Json(listed.clone()));
    }
    let shared = &gateway.shared;
    let targets = shared.routes.find(&id, None).unwrap_or_default();
    let providers = targets.iter().map(|target| shared.registry.get(target.provider));
    let may_use = caller.may_use(&id);
    match providers.filter(|provider| may_use && provider.is_usable()).map(|provider| &provider.name).next() {
        Some(owner) => Ok(Json(model(&id, owner))),
        None => {
            let known = models.into_iter().map(|model| model.id).collect();
            Err(ApiError::new(ErrorCode::ModelNotFound, format!("the model `{id}` does not exist")).with_known(known))
        }
    }
}

fn models(gateway: &Gateway, caller: &Caller) -> Vec<Model> {
    let shared = &gateway.shared;
    let listed = shared.routes.listed(|provider| shared.registry.get(provider).is_usable());
    listed.into_iter().filter(|(id, _)| caller.may_use(id)).map(|(id, owner)| model(id, owner)).collect()
}

fn model(id: &str, owned_by: &str) -> Model {
    // Nobody says when it was made; the field must be there.
    Model { id: id.to_owned(), object: "model".to_owned(), created: 0, owned_by: owned_by.to_owned() }
}
