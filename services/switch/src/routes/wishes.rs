//! The headers in which a request says what it asks of the gateway.

use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use vx11_chassis::{ApiError, RequestContext, header_names};
use vx11_contracts::ErrorCode;
use vx11_resilience::{Deadline, Priority};
use xxhash_rust::xxh3::xxh3_64;

use crate::accounts::Caller;
use crate::domain::request::{ChatRequest, MAX_MODEL};
use crate::domain::wishes::Wishes;

/// What the headers of `caller`'s request ask for. The deadline that it came in with is for all of the answer.
pub(super) fn read(request: &HttpRequest, context: &RequestContext, caller: &Caller) -> Result<Wishes, ApiError> {
    let fallback = match text(request, &header_names::FALLBACK)? {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Err(malformed(&header_names::FALLBACK, "must be `on` or `off`")),
    };
    let priority = match text(request, &header_names::PRIORITY)? {
        None => Priority::default(),
        Some(word) => Priority::ALL
            .into_iter()
            .find(|priority| priority.as_str() == word)
            .ok_or_else(|| malformed(&header_names::PRIORITY, "must be `interactive`, `normal` or `batch`"))?,
    };
    let whole = milliseconds(request, &header_names::TIMEOUT_MS)?.map(Deadline::after);
    let whole = whole.into_iter().chain(context.deadline).min();
    let begin = milliseconds(request, &header_names::BEGIN_TIMEOUT_MS)?.map(Deadline::after);
    let first = milliseconds(request, &header_names::TTFT_TIMEOUT_MS)?;
    let connect = milliseconds(request, &header_names::CONNECT_TIMEOUT_MS)?;
    let idle = milliseconds(request, &header_names::IDLE_TIMEOUT_MS)?;
    Ok(Wishes {
        whole,
        begin,
        first,
        connect,
        idle,
        is_chat: false,
        fallback,
        priority,
        tenant: tenant(request, caller),
    })
}

/// Who waits in turn with others where a provider is busy: the tenant of the caller's key; with the shared token the
/// organisation or else the conversation that it names.
fn tenant(request: &HttpRequest, caller: &Caller) -> u64 {
    if let Some(tenant) = caller.tenant() {
        return xxh3_64(tenant.as_bytes());
    }
    let names = [header_names::ORG, header_names::SESSION_ID];
    let header = names.into_iter().find_map(|name| request.headers().get(name));
    header.map_or(0, |value| xxh3_64(value.as_bytes()))
}

/// Routes `request` by the model that the header names in place of the body's, where it names one.
pub(super) fn reroute(http: &HttpRequest, request: &mut ChatRequest) -> Result<(), ApiError> {
    if let Some(model) = text(http, &header_names::MODEL)? {
        if model.len() > MAX_MODEL {
            return Err(malformed(&header_names::MODEL, &format!("must have at most {MAX_MODEL} bytes")));
        }
        model.clone_into(&mut request.model);
    }
    Ok(())
}

fn milliseconds(request: &HttpRequest, name: &HeaderName) -> Result<Option<Duration>, ApiError> {
    let Some(value) = text(request, name)? else { return Ok(None) };
    match value.trim().parse() {
        Ok(ms @ 1..) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(malformed(name, "must be a whole number of milliseconds above 0")),
    }
}

fn text<'r>(request: &'r HttpRequest, name: &HeaderName) -> Result<Option<&'r str>, ApiError> {
    let value = request.headers().get(name).map(|value| value.to_str());
    value.transpose().map_err(|_| malformed(name, "must be visible ASCII"))
}

fn malformed(name: &HeaderName, problem: &str) -> ApiError {
    ApiError::new(ErrorCode::MalformedRequest, format!("the header {name} {problem}"))
}
