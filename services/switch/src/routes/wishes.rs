//! The headers in which a request says what it asks of the gateway.

use std::time::Duration;

use actix_web::HttpRequest;
use vx11_chassis::ApiError;
use vx11_contracts::{ErrorCode, headers};
use vx11_resilience::Deadline;

use crate::domain::wishes::Wishes;

/// What the request's headers ask for.
pub(super) fn read(request: &HttpRequest) -> Result<Wishes, ApiError> {
    let fallback = match text(request, headers::FALLBACK)? {
        None | Some("on") => true,
        Some("off") => false,
        Some(_) => return Err(malformed(headers::FALLBACK, "must be `on` or `off`")),
    };
    let whole = milliseconds(request, headers::TIMEOUT_MS)?.map(Deadline::after);
    Ok(Wishes { whole, first: milliseconds(request, headers::TTFT_TIMEOUT_MS)?, fallback })
}

/// The model to route by in place of the body's.
pub(super) fn model(request: &HttpRequest) -> Result<Option<&str>, ApiError> {
    text(request, headers::MODEL)
}

fn milliseconds(request: &HttpRequest, name: &str) -> Result<Option<Duration>, ApiError> {
    let Some(value) = text(request, name)? else { return Ok(None) };
    match value.trim().parse() {
        Ok(ms @ 1..) => Ok(Some(Duration::from_millis(ms))),
        _ => Err(malformed(name, "must be a whole number of milliseconds above 0")),
    }
}

pub(super) fn text<'r>(request: &'r HttpRequest, name: &str) -> Result<Option<&'r str>, ApiError> {
    let value = request.headers().get(name).map(|value| value.to_str());
    value.transpose().map_err(|_| malformed(name, "must be visible ASCII"))
}

pub(super) fn malformed(name: &str, problem: &str) -> ApiError {
    ApiError::new(ErrorCode::MalformedRequest, format!("the header {name} {problem}"))
}
