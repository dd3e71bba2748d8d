//! The spans that VX11 makes: one for each request served, one for each call made, one for each provider call.
//!
//! Names and attributes follow OpenTelemetry's semantic conventions for HTTP and for generative AI. Each span records
//! the service it belongs to, because services can share a process. With traces off a span only carries what log lines
//! need.

use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Array, Context, StringValue, Value};
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use url::Url;

use crate::TraceContext;
use crate::logs::SpanFields;

/// The target of the spans of requests, which log lines take their ids from.
pub(crate) const REQUESTS: &str = "vx11_telemetry::request";
/// The target of the spans of calls, which only a collector sees: with traces off they are switched off too.
pub(crate) const CALLS: &str = "vx11_telemetry::call";

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
    let trace = parent.map_or_else(TraceContext::new, Clone::clone).hop(service);
    let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
    let span = tracing::info_span!(
        target: REQUESTS,
        // A request begins a tree of its own, whatever the thread was doing before.
        parent: None,
        "request",
        service,
        correlation_id,
        trace_id,
        span_id,
        otel.kind = "server",
        // Formatted only by a layer that wants it.
        otel.name = %format_args!("{method} {route}"),
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        url.scheme = "http",
        url.path = path,
        http.response.status_code = Empty,
        error.r#type = Empty,
    );
    if let Some(parent) = parent {
        adopt(&span, parent);
    }
    // One that is exported has a trace of its exporter's making; recording it costs what a request without can do without.
    let Some(exported) = exported(&span, Some(service)) else { return (span, trace) };
    span.record("trace_id", exported.trace_id());
    span.record("span_id", exported.span_id());
    (span, exported)
}

/// The span of a call to the service `peer`, and the context to send along. It is a child of `parent` where that is a
/// request's, and stands in the log below the current span.
///
/// The caller records `http.response.status_code` when it knows it, and `error.type` for a call without an answer.
pub fn client_span(method: &str, peer: &str, url: &Url, parent: &TraceContext) -> (Span, TraceContext) {
    let span = tracing::info_span!(
        target: CALLS,
        "call",
        service = parent.service(),
        span_id = Empty,
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

/// A model provider, as spans have it.
#[derive(Clone, Copy, Debug)]
pub struct GenAiProvider<'a> {
    /// What the conventions call it, where they know it; else what VX11 does.
    pub convention: &'a str,
    /// What VX11's configuration calls it.
    pub name: &'a str,
    /// Where it is.
    pub url: &'a Url,
}

/// The span of one call to a model provider, and the context to send along.
pub fn genai_span(
    operation: &str,
    provider: GenAiProvider<'_>,
    model: &str,
    parent: &TraceContext,
) -> (Span, TraceContext) {
    let GenAiProvider { convention, name, url } = provider;
    let span = tracing::info_span!(
        target: CALLS,
        "provider call",
        service = parent.service(),
        span_id = Empty,
        otel.kind = "client",
        otel.name = %format_args!("{operation} {model}"),
        otel.status_code = Empty,
        gen_ai.operation.name = operation,
        gen_ai.provider.name = convention,
        vx11.provider = name,
        gen_ai.request.model = model,
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
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
    /// The provider's name for the answer.
    pub id: Option<&'a str>,
    /// Why it ended, for each choice.
    pub finish_reasons: &'a [String],
    /// Tokens read.
    pub input_tokens: Option<u64>,
    /// Tokens of these that came from the provider's cache.
    pub cached_tokens: Option<u64>,
    /// Tokens written.
    pub output_tokens: Option<u64>,
    /// Tokens of these that are reasoning.
    pub reasoning_tokens: Option<u64>,
}

/// Records what a provider's answer says on the span of its call.
pub fn record_genai(span: &Span, usage: GenAiUsage<'_>) {
    span.record("gen_ai.response.model", usage.model);
    span.record("gen_ai.response.id", usage.id);
    if !usage.finish_reasons.is_empty() {
        let reasons = usage.finish_reasons.iter().cloned().map(StringValue::from).collect();
        // A field of tracing's cannot be a list.
        span.set_attribute("gen_ai.response.finish_reasons", Value::Array(Array::String(reasons)));
    }
    for (name, tokens) in [
        ("gen_ai.usage.input_tokens", usage.input_tokens),
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
        ("gen_ai.usage.output_tokens", usage.output_tokens),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
    ] {
        span.record(name, tokens.and_then(signed));
    }
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
    // Work that no request caused begins a trace of its own.
    if parent.service().is_some() {
        adopt(&span, parent);
    }
    let Some(trace) = exported(&span, parent.service()) else { return (span, parent.clone()) };
    if let Some(fields) = SpanFields::of(&span) {
        if let (None, Some(service)) = (parent.service(), &fields.service) {
            span.set_attribute("service", service.to_string());
        }
        if let Some(id) = &fields.correlation_id {
            span.set_attribute("correlation_id", id.to_string());
        }
    }
    span.record("span_id", trace.span_id());
    (span, trace)
}

/// Makes `parent` the parent of the exported span.
fn adopt(span: &Span, parent: &TraceContext) {
    // Refused where traces are off, or once a span has begun, which a new one has not.
    let _ = span.set_parent(Context::new().with_remote_span_context(parent.to_parent()));
}

/// The exported span's context; `None` with traces off.
fn exported(span: &Span, service: Option<&'static str>) -> Option<TraceContext> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| TraceContext::of_span(&context, service))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::capture::json_lines;

    fn url() -> Url {
        "http://127.0.0.1:8002/".parse().expect("a URL")
    }

    #[test]
    fn without_traces_a_request_keeps_its_callers_trace_and_its_lines_say_so() {
        let parent = TraceContext::parse(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), Some("v=1"));
        let mut sent = None;
        let lines = json_lines(|| {
            let (span, context) = server_span("switch", "POST", "/chat", "/chat", "c-1", parent.as_ref());
            let _entered = span.enter();
            let (call, outgoing) = client_span("POST", "mock-provider", &url(), &context);
            call.in_scope(|| tracing::info!("calling"));
            sent = Some(outgoing);
        });
        let (parent, sent) = (parent.expect("valid"), sent.expect("a call"));
        assert_eq!((sent.trace_id(), sent.tracestate()), (parent.trace_id(), Some("v=1")));
        assert_ne!(sent.span_id(), parent.span_id());
        assert!(sent.traceparent().ends_with("-01"), "the caller's decision travels on");
        let said = ["service", "correlation_id", "trace_id", "span_id"].map(|name| lines[0][name].as_str());
        assert_eq!(said, ["switch", "c-1", &sent.trace_id(), &sent.span_id()].map(Some));
    }

    #[test]
    fn a_request_without_a_trace_begins_one() {
        let contexts = [(), ()].map(|()| server_span("switch", "GET", "/x", "/x", "c", None).1);
        assert_ne!(contexts[0].trace_id(), contexts[1].trace_id());
        for context in contexts {
            let again = TraceContext::parse(Some(&context.traceparent()), None).expect("valid");
            assert_eq!((again.trace_id(), again.span_id()), (context.trace_id(), context.span_id()));
        }
    }
}
