//! What a request carries through a service: its correlation id, its trace context and its deadline.

use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use vx11_contracts::chat::MAX_ID_CHARS;
use vx11_resilience::Deadline;
use vx11_telemetry::TraceContext;

use crate::error::ApiError;
use crate::header_names::{CORRELATION_ID, DEADLINE_MS};

/// The request's identity and limits, made by the chassis for every request; cheap to clone.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// Ties together everything that the request causes.
    pub correlation_id: Arc<str>,
    /// The trace that the request belongs to, with this service's span as the parent of what follows.
    pub trace: TraceContext,
    /// When the caller stops waiting, where it said so.
    pub deadline: Option<Deadline>,
}

impl RequestContext {
    /// A context for work that no request caused, such as a health check.
    pub fn internal() -> Self {
        Self { correlation_id: new_correlation_id(), trace: TraceContext::default(), deadline: None }
    }

    /// The same request under another correlation id, for a body that names its own.
    #[must_use]
    pub fn with_correlation_id(mut self, id: &str) -> Self {
        self.correlation_id = id.into();
        self
    }
}

impl FromRequest for RequestContext {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let found = request.extensions().get::<Self>().cloned();
        ready(found.ok_or_else(|| ApiError::internal("a route outside the chassis asked for its context")))
    }
}

/// The caller's correlation id, or a new one where it sent none that is fit to be echoed and logged.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Arc<str> {
    let sent = headers.get(CORRELATION_ID).and_then(|value| value.to_str().ok());
    match sent {
        Some(id) if is_valid_id(id) => id.into(),
        _ => new_correlation_id(),
    }
}

/// A version 4 UUID whose first 48 bits are the time in milliseconds (a "COMB"): the stores index rows by it, and ids
/// of one moment side by side let a batch of rows share the pages that it writes, where random ones take a page each.
///
/// Source: J. Nilsson, "The Cost of GUIDs as Primary Keys", 2002; the layout of RFC 9562 section 5.7 with section 5.4's
/// version.
fn new_correlation_id() -> Arc<str> {
    let ordered = uuid::Uuid::now_v7().into_bytes();
    uuid::Builder::from_bytes(ordered).with_version(uuid::Version::Random).into_uuid().to_string().into()
}

/// Whether `id` can serve as a correlation or session id: 1 to 128 visible ASCII characters.
pub fn is_valid_id(id: &str) -> bool {
    (1..=MAX_ID_CHARS).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// The caller's deadline.
pub(crate) fn deadline(headers: &HeaderMap) -> Result<Option<Deadline>, ApiError> {
    let Some(value) = headers.get(DEADLINE_MS) else { return Ok(None) };
    let parsed = value.to_str().ok().and_then(|text| Deadline::from_header_ms(text).ok());
    parsed.map(Some).ok_or_else(|| {
        let detail = format!("{DEADLINE_MS} must be a whole number of milliseconds");
        ApiError::new(vx11_contracts::ErrorCode::MalformedRequest, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_correlation_ids_are_version_4_and_in_order() {
        let ids: Vec<_> = (0..1000).map(|_| new_correlation_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        for id in &ids {
            let id: uuid::Uuid = id.parse().expect("a UUID");
            assert_eq!((id.get_version(), id.get_variant()), (Some(uuid::Version::Random), uuid::Variant::RFC4122));
        }
    }
}
