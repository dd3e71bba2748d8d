//! What a request says about the cache, and whose answers it may be given.

use actix_web::HttpRequest;
use actix_web::http::header::CACHE_CONTROL;
use vx11_chassis::{ApiError, header_names};
use vx11_contracts::ErrorCode;

use crate::accounts::Caller;
use crate::cache::{Asked, Control, Form, Key, Passage, Scope};
use crate::domain::request::ChatRequest;
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::gateway::Gateway;
use crate::wire::Wire;

/// The dealings of `request`, which leads to `targets`, with the cache.
pub(super) fn read(
    gateway: &Gateway,
    http: &HttpRequest,
    caller: &Caller,
    request: &ChatRequest,
    targets: &[Target],
    wishes: &Wishes,
) -> Result<Passage, ApiError> {
    let Some(cache) = &gateway.shared.cache else { return Ok(Passage::bypass()) };
    if request.wire == Wire::Responses {
        // Who speaks this wire keeps what it answers, and goes on from it.
        return Ok(Passage::bypass());
    }
    let wanted = is_wanted(http)?;
    let values = http.headers().get_all(CACHE_CONTROL).filter_map(|value| value.to_str().ok());
    let mut control = Control::read(values);
    control.writes &= wanted;
    control.reads &= wanted;
    control.priority = wishes.priority;
    let org = match caller {
        // Whoever has the shared token may speak for any organisation.
        Caller::Internal => {
            http.headers().get(header_names::ORG).and_then(|value| value.to_str().ok()).unwrap_or_default()
        }
        Caller::Key(_) => "",
    };
    let identity = |target: &Target| gateway.shared.registry.get(target.provider).identity();
    let targets: Vec<_> = targets.iter().map(|target| (identity(target), &*target.model)).collect();
    let scope = Scope {
        tenant: gateway.shared.accounts.tenant(caller),
        org,
        operation: request.operation,
        wire: request.wire,
        headers: &request.headers,
        model: &request.model,
        fallback: wishes.fallback,
        targets: &targets,
    };
    let form = if request.stream { Form::Stream } else { Form::Whole };
    Ok(Passage::new(Asked::new(cache, control, form, || Key::new(scope, request.body()))))
}

/// Whether the cache is not switched off for this request.
fn is_wanted(http: &HttpRequest) -> Result<bool, ApiError> {
    match http.headers().get(header_names::CACHE).map(|value| value.as_bytes()) {
        None | Some(b"on") => Ok(true),
        Some(b"off") => Ok(false),
        Some(_) => {
            let problem = format!("the header {} must be `on` or `off`", header_names::CACHE);
            Err(ApiError::new(ErrorCode::MalformedRequest, problem))
        }
    }
}
