//! Who may call: organisations, pilots, API keys, the caller itself, whom another service asks about, and the public
//! keys of access tokens.

mod introspection;
mod keys;
mod orgs;
mod pilots;
mod whoami;

use actix_web::web;
use utoipa::OpenApi;
use vx11_chassis::ApiError;

use crate::domain::key_terms::Unfit;

pub(super) use whoami::{__path_well_known_keys, well_known_keys};

/// Adds the routes, within the scope that is asked for.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(orgs::create)
        .service(orgs::list)
        .service(orgs::close)
        .service(keys::create)
        .service(keys::list)
        .service(keys::change)
        .service(keys::revoke)
        .service(pilots::list)
        .service(pilots::change)
        .service(pilots::end_sessions)
        .service(introspection::introspect)
        .service(whoami::whoami)
        .service(whoami::jwks);
}

/// The document of the routes, as they stand within their scope.
#[derive(OpenApi)]
#[openapi(paths(
    orgs::create,
    orgs::list,
    orgs::close,
    keys::create,
    keys::list,
    keys::change,
    keys::revoke,
    pilots::list,
    pilots::change,
    pilots::end_sessions,
    introspection::introspect,
    whoami::whoami,
    whoami::jwks
))]
pub(super) struct AccountApi;

fn unfit(Unfit { field, detail }: Unfit) -> ApiError {
    ApiError::invalid_field(field, detail)
}
