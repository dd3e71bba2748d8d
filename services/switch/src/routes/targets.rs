//! Who may answer a request: where its model leads, less the providers that cannot do what it asks for.

use std::sync::Arc;

use actix_web::HttpRequest;
use vx11_chassis::ApiError;

use super::arrange::{Said, arrange};
use super::refusal;
use super::way::pinned_provider;
use crate::accounts::Caller;
use crate::domain::request::ChatRequest;
use crate::domain::routing::Target;
use crate::gateway::Gateway;

/// The targets of `request`, in the order in which it asks them, at least one.
pub(super) fn find(gateway: &Gateway, http: &HttpRequest, request: &ChatRequest) -> Result<Arc<[Target]>, ApiError> {
    let pinned = pinned_provider(http);
    let targets = gateway.shared.routes.find(&request.model, pinned);
    let targets = targets.map_err(|error| refusal::no_route(error, &Caller::of(http), &request.model, pinned))?;
    let can = |target: &Target| gateway.shared.registry.get(target.provider).can(request);
    let said = Said {
        bytes: request.bytes(),
        stream: request.stream,
        tag: &|name| request.tag(name),
        session: &|| request.user(),
        can: &can,
    };
    let able = arrange(gateway, http, &request.model, pinned, targets, said);
    if !able.is_empty() {
        return Ok(able);
    }
    match &request.as_chat {
        Some(Err(unable)) => Err(unable.clone().into()),
        _ => {
            let problem = format!("no provider of the model `{}` has {}", request.model, request.operation.name());
            Err(ApiError::invalid_field("model", problem))
        }
    }
}
