//! The provider's addresses.

mod admin;
mod azure;
mod chat;
mod embeddings;
mod exchange;
mod fault;
mod generate;
mod messages;
mod models;
mod responses;

use actix_web::HttpRequest;
use actix_web::web;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use utoipa::OpenApi;
use vx11_chassis::ApiError;
use vx11_chassis::extract::BodyLimit;
use vx11_contracts::ErrorCode;

use crate::State;
use crate::wire::{Refusal, Wire};

/// Largest request body.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Adds every route.
pub(crate) fn routes(app: &mut web::ServiceConfig, with_admin: bool) {
    app.app_data(BodyLimit(MAX_BODY));
    // Before the models, whose addresses have the same beginning.
    app.service(generate::generate).service(messages::answer).service(messages::count_tokens);
    app.service(chat::completions).service(responses::respond).service(embeddings::create);
    app.service(models::list).service(models::show);
    app.service(azure::completions).service(azure::embed);
    if with_admin {
        app.service(admin::requests)
            .service(admin::count)
            .service(admin::clear)
            .service(admin::faults)
            .service(admin::set_faults)
            .service(admin::clear_faults)
            .service(admin::reset);
    }
}

/// The document of every route.
#[derive(OpenApi)]
#[openapi(
    info(title = "VX11 mock-provider", description = "A deterministic provider that misbehaves on request."),
    // Who calls presents the provider's own key, where one is configured.
    security((), ("token" = []), ("bearer" = [])),
    paths(
        chat::completions,
        responses::respond,
        messages::answer,
        messages::count_tokens,
        generate::generate,
        embeddings::create,
        azure::completions,
        azure::embed,
        models::list,
        models::show,
        admin::requests,
        admin::count,
        admin::clear,
        admin::faults,
        admin::set_faults,
        admin::clear_faults,
        admin::reset
    )
)]
pub(crate) struct Document;

/// Checks the caller's key, where one is configured.
fn check_key(state: &State, http: &HttpRequest, wire: Wire) -> Result<(), Refusal> {
    check_sent_key(state, wire.key(http))
}

fn check_sent_key(state: &State, sent: Option<&str>) -> Result<(), Refusal> {
    let Some(key) = &state.config.api_key else { return Ok(()) };
    match sent {
        Some(sent) if bool::from(sent.as_bytes().ct_eq(key.expose_secret().as_bytes())) => Ok(()),
        Some(_) => Err(Refusal::WrongKey),
        None => Err(Refusal::NoKey),
    }
}

/// There is no model of this name.
fn no_such_model(model: &str) -> ApiError {
    ApiError::new(ErrorCode::ModelNotFound, format!("The model `{model}` does not exist"))
}
