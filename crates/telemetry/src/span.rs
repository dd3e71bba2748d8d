//! The spans that VX11 makes: one for each request served, one for each call made, one for each provider call.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions for HTTP and for generative AI. Each span records
//! the service it belongs to, because services can share a process. With traces off a span only carries what log lines
//! need.

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use crate::TraceContext;

/// The span of a request that `service` serves, and the context for what the request causes.
///
/// The caller records `http.response.status_code` (and `error.type` for a failure) when it knows them.
pub fn server_span(
    service: &'static str,
    method: &str,
    route: &str,
    path: &str,
    correlation_id: &str,
    parent: Option<&TraceContext>,
) -> (Span, TraceContext) {
    let span = tracing::info_span!(
        "request",
        service,
        correlation_id,
        trace_id = Empty,
        span_id = Empty,
        otel.kind = "server",
        // Formatted only by a layer that wants it.
        otel.name = %format_args!("{method} {route}"),
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.path = path,
        http.response.status_code = Empty,
        error.r#type = Empty,
    );
    if let Some(parent) = parent {
        // Refused only for a span that has begun; this one has not.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent.to_remote()));
    }
    let trace = exported(&span, service);
    let trace = trace.unwrap_or_else(|| parent.map_or_else(TraceContext::new, Clone::clone).hop(service));
    span.record("trace_id", trace.trace_id());
    span.record("span_id", trace.span_id());
    (span, trace)
}

/// The span of a call to the service `peer`, and the context to send along. It is a child of the current span.
pub fn client_span(method: &str, peer: &str, url: &Url, parent: &TraceContext) -> (Span, TraceContext) {
    let span = tracing::info_span!(
        "call",
        service = parent.service(),
        otel.kind = "client",
        otel.name = %format_args!("{method} {peer}"),
        otel.status_code = Empty,
        http.request.method = method,
        peer.service = peer,
        server.address = url.host_str(),
        server.port = port(url),
        http.response.status_code = Empty,
        error.r#type = Empty,
    );
    finish(span, parent)
}

/// The span of one call to a model provider, and the context to send along.
pub fn genai_span(
    operation: &str,
    provider: &str,
    model: &str,
    url: &Url,
    parent: &TraceContext,
) -> (Span, TraceContext) {
    let span = tracing::info_span!(
        "provider call",
        service = parent.service(),
        otel.kind = "client",
        otel.name = %format_args!("{operation} {model}"),
        otel.status_code = Empty,
        gen_ai.operation.name = operation,
        gen_ai.provider.name = provider,
        gen_ai.request.model = model,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        server.address = url.host_str(),
        server.port = port(url),
        http.response.status_code = Empty,
        error.r#type = Empty,
    );
    finish(span, parent)
}

/// What a provider's answer says about itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct GenAiUsage<'a> {
    /// The model that answered.
    pub model: Option<&'a str>,
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
}

/// Records what a provider's answer says on the span of its call.
pub fn record_genai(span: &Span, usage: GenAiUsage<'_>) {
    span.record("gen_ai.response.model", usage.model);
    span.record("gen_ai.usage.input_tokens", usage.input_tokens.and_then(signed));
    span.record("gen_ai.usage.output_tokens", usage.output_tokens.and_then(signed));
}

/// OpenTelemetry has no unsigned numbers.
fn signed(number: u64) -> Option<i64> {
    number.try_into().ok()
}

fn port(url: &Url) -> Option<i64> {
    url.port_or_known_default().map(i64::from)
}

/// The span with the context to send along; without traces, the call belongs to the request's own span.
fn finish(span: Span, parent: &TraceContext) -> (Span, TraceContext) {
    let trace = exported(&span, parent.service().unwrap_or_default()).unwrap_or_else(|| parent.clone());
    (span, trace)
}

/// The exported span's context; `None` with traces off.
fn exported(span: &Span, service: &'static str) -> Option<TraceContext> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| TraceContext::of_span(&context, service))
}
