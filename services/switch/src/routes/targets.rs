//! Who may answer a request: where its model leads, less the providers that cannot do what it asks for, and for who has
//! a budget less what could cost more than anybody says.

use std::sync::Arc;

use actix_web::HttpRequest;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;

use super::arrange::{Said, arrange};
use super::refusal;
use super::way::pinned_provider;
use crate::accounts::Caller;
use crate::domain::request::ChatRequest;
use crate::domain::routing::{self, Target};
use crate::gateway::Gateway;

/// The targets of `request`, for which `payer` pays, in the order in which `caller` asks them, at least one.
pub(super) fn find(
    gateway: &Gateway,
    http: &HttpRequest,
    caller: &Caller,
    payer: &Caller,
    request: &ChatRequest,
) -> Result<Arc<[Target]>, ApiError> {
    let pinned = pinned_provider(http);
    let targets = gateway.shared.routes.find(&request.model, pinned);
    let targets = targets.map_err(|error| refusal::no_route(error, caller, &request.model, pinned))?;
    // Stored prompts are read, and the provider's own tools run, for money that is in no price of a model's.
    let beyond_budget = request.is_beyond_chat() && payer.has_budget();
    let can = |target: &Target| !beyond_budget && gateway.shared.registry.get(target.provider).can(request);
    let tags = request.tags();
    let said = Said {
        bytes: request.bytes(),
        stream: request.stream,
        tag: &|name| tags.get(name),
        session: &|| request.user(),
        can: &can,
    };
    let able = arrange(gateway, http, caller, &request.model, pinned, targets, said);
    if first_choice(&able).is_some() {
        // Who may not ask for the model hears that from the bill, and nothing here of where it leads.
        return if payer.may_use(&request.model) { priced(gateway, payer, able) } else { Ok(able) };
    }
    match &request.as_chat {
        Some(Err(unable)) => Err(unable.clone().into()),
        _ => {
            let problem = format!("no provider of the model `{}` has {}", request.model, request.operation.name());
            Err(ApiError::invalid_field("model", problem))
        }
    }
}

/// `targets` without those that could cost `payer`, who has a budget, what nobody knows.
///
/// # Errors
/// When none is left that would be asked first.
pub(super) fn priced(gateway: &Gateway, payer: &Caller, targets: Arc<[Target]>) -> Result<Arc<[Target]>, ApiError> {
    if !payer.has_budget() {
        return Ok(targets);
    }
    let Some(first) = first_choice(&targets).map(|first| first.model.clone()) else { return Ok(targets) };
    let terms = gateway.shared.accounts.terms();
    let priced = routing::able(targets, &|target| terms.has_price(&target.model));
    if first_choice(&priced).is_none() { Err(unpriced(&first)) } else { Ok(priced) }
}

/// Who is asked first. Targets for what is too long are asked after another one only.
fn first_choice(targets: &[Target]) -> Option<&Target> {
    targets.iter().find(|target| !target.larger)
}

fn unpriced(model: &str) -> ApiError {
    let detail = format!(
        "who asks has a budget, and the model `{model}` has no price: `switch.prices.\"{model}\"` gives it one, 0 where it is free"
    );
    ApiError::new(ErrorCode::ModelNotAllowed, detail)
}
