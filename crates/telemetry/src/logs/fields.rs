//! The fields that every line has, and the fields that no line may show.

use std::fmt::Debug;
use std::sync::Arc;

use tracing::Span;
use tracing::field::{Field, Visit};
use tracing_subscriber::Registry;
use tracing_subscriber::registry::LookupSpan;

/// The fields that every line has, as the innermost enclosing span knows them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SpanFields {
    pub(crate) service: Option<Arc<str>>,
    pub(crate) correlation_id: Option<Arc<str>>,
    pub(super) trace_id: Option<Arc<str>>,
    pub(super) span_id: Option<Arc<str>>,
}

impl SpanFields {
    /// Those of no span.
    pub(super) const NONE: Self = Self { service: None, correlation_id: None, trace_id: None, span_id: None };

    /// What `span` and the spans around it say.
    pub(crate) fn of(span: &Span) -> Option<Self> {
        span.with_subscriber(|(id, subscriber)| {
            let span = subscriber.downcast_ref::<Registry>()?.span(id)?;
            span.extensions().get::<Self>().cloned()
        })?
    }

    /// Where the field of this name is kept; `None` for any other field.
    pub(super) fn slot(&mut self, name: &str) -> Option<&mut Option<Arc<str>>> {
        match name {
            "service" => Some(&mut self.service),
            "correlation_id" => Some(&mut self.correlation_id),
            "trace_id" => Some(&mut self.trace_id),
            "span_id" => Some(&mut self.span_id),
            _ => None,
        }
    }
}

impl Visit for SpanFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(slot) = self.slot(field.name()) {
            *slot = Some(value.into());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some(slot) = self.slot(field.name()) {
            *slot = Some(format!("{value:?}").into());
        }
    }
}

/// Names of fields whose values no line may show; the last part of a dotted name counts.
const SECRET: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "token",
    "access_token",
    "refresh_token",
    "confirm_token",
    "power_token",
    "sse_token",
    "x-vx11-token",
    "api_key",
    "apikey",
    "x-api-key",
    "cookie",
    "set-cookie",
    "password",
    "secret",
    "client_secret",
    "body",
    "message_body",
    "messages",
    "prompt",
    "content",
];

/// What stands in a line in place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Whether the value of a field of this name must not be shown.
pub(super) fn is_secret(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    SECRET.iter().any(|secret| last.eq_ignore_ascii_case(secret))
}
