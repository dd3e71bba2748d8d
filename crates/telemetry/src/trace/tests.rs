//! What collectors get to see.

use std::sync::{Arc, Barrier};
use std::time::Duration;

use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Array, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SpanData, SpanExporter, SpanProcessor};
use tracing_subscriber::layer::SubscriberExt;

use super::exporter::resource;
use super::*;
use crate::logs::{LogLayer, Style};
use crate::{GenAiProvider, GenAiUsage, TraceContext, client_span, genai_span, record_genai, server_span};

/// Runs `work` under exporters for tentaculo and operator; answers with the spans that each got.
fn exported(sampler: Sampler, work: impl FnOnce()) -> [Vec<SpanData>; 2] {
    let exporters = [InMemorySpanExporter::default(), InMemorySpanExporter::default()];
    let named = ["tentaculo", "operator"].into_iter().zip(&exporters);
    let router = ServiceRouter::new(named.map(|(name, to)| (name.to_owned(), resource(name), to.clone())));
    let provider = SdkTracerProvider::builder().with_span_processor(router).with_sampler(sampler).build();
    let logs = LogLayer::new(Style::Json, "test", std::io::sink);
    let subscriber = tracing_subscriber::registry().with(layer(provider.tracer("test"))).with(logs);
    tracing::subscriber::with_default(subscriber, work);
    provider.force_flush().expect("flushes");
    exporters.map(|exporter| exporter.get_finished_spans().expect("spans"))
}

fn url() -> url::Url {
    "http://127.0.0.1:8002/".parse().expect("a URL")
}

fn named<'s>(spans: &'s [SpanData], name: &str) -> &'s SpanData {
    spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:#?}"))
}

fn values<'s>(span: &'s SpanData, name: &str) -> Vec<&'s Value> {
    span.attributes
        .iter()
        .filter(|attribute| attribute.key.as_str() == name)
        .map(|attribute| &attribute.value)
        .collect()
}

#[test]
fn each_service_exports_its_own_spans_of_one_trace() {
    let [edge, inner] = exported(Sampler::AlwaysOn, || {
        let (served, context) = server_span("tentaculo", "GET", "/x", "/x", "c", None);
        let sent = served.in_scope(|| client_span("GET", "operator", &url(), &context).1);
        let arrived = TraceContext::parse(Some(&sent.traceparent()), sent.tracestate());
        drop(server_span("operator", "GET", "/x", "/x", "c", arrived.as_ref()));
    });
    assert_eq!((edge.len(), inner.len()), (2, 1));
    let (served, call) = (named(&edge, "GET /x"), named(&edge, "GET operator"));
    assert_eq!((&served.span_kind, &call.span_kind), (&SpanKind::Server, &SpanKind::Client));
    assert_eq!(call.parent_span_id, served.span_context.span_id());
    assert_eq!(inner[0].parent_span_id, call.span_context.span_id());
    assert_eq!(inner[0].span_context.trace_id(), served.span_context.trace_id());
    for span in edge.iter().chain(&inner) {
        assert_eq!(values(span, "correlation_id"), [&Value::from("c")], "{span:#?}");
        for only_here in ["service", "trace_id", "span_id"] {
            assert!(values(span, only_here).is_empty(), "{only_here}: {span:#?}");
        }
    }
}

#[test]
fn a_call_made_away_from_its_request_still_belongs_to_it() {
    let [edge, inner] = exported(Sampler::AlwaysOn, || {
        let (served, context) = server_span("operator", "POST", "/chat", "/chat", "c", None);
        drop(client_span("POST", "switch", &url(), &context));
        drop(served);
    });
    assert!(edge.is_empty());
    assert_eq!(named(&inner, "POST switch").parent_span_id, named(&inner, "POST /chat").span_context.span_id());
}

#[test]
fn a_request_is_not_part_of_what_its_thread_did_before() {
    let [edge, inner] = exported(Sampler::AlwaysOn, || {
        let (other, _) = server_span("tentaculo", "GET", "/other", "/other", "c1", None);
        let _entered = other.enter();
        drop(server_span("operator", "GET", "/x", "/x", "c2", None));
    });
    assert_ne!(inner[0].span_context.trace_id(), edge[0].span_context.trace_id());
    assert_eq!(values(&inner[0], "correlation_id"), [&Value::from("c2")]);
}

#[test]
fn a_correlation_id_that_the_body_names_replaces_the_first_one() {
    let [_, inner] = exported(Sampler::AlwaysOn, || {
        let (served, context) = server_span("operator", "POST", "/chat", "/chat", "header", None);
        served.record("correlation_id", "body");
        served.in_scope(|| drop(client_span("POST", "switch", &url(), &context)));
    });
    assert_eq!(values(named(&inner, "POST /chat"), "correlation_id"), [&Value::from("body")]);
    assert_eq!(values(named(&inner, "POST switch"), "correlation_id"), [&Value::from("body")]);
}

#[test]
fn what_is_recorded_decides_whether_a_span_failed() {
    let statuses = |server: Option<i64>, client: Option<i64>, error: Option<&str>| {
        let [_, inner] = exported(Sampler::AlwaysOn, || {
            let (served, context) = server_span("operator", "GET", "/x", "/x", "c", None);
            served.record("http.response.status_code", server);
            let (call, _) = client_span("GET", "switch", &url(), &context);
            call.record("http.response.status_code", client).record("error.type", error);
        });
        ["GET /x", "GET switch"].map(|name| {
            let span = named(&inner, name);
            let kind = values(span, "error.type").first().map(|kind| kind.to_string());
            (matches!(span.status, Status::Error { .. }), kind)
        })
    };
    let failed = |kind: &str| (true, Some(kind.to_owned()));
    assert_eq!(statuses(Some(200), Some(200), None), [(false, None), (false, None)]);
    assert_eq!(statuses(Some(404), Some(404), None), [(false, None), failed("404")]);
    assert_eq!(statuses(Some(503), None, Some("timeout")), [failed("503"), failed("timeout")]);
}

#[test]
fn a_provider_call_follows_the_conventions_for_generative_ai() {
    let [_, inner] = exported(Sampler::AlwaysOn, || {
        let (_, context) = server_span("operator", "POST", "/chat", "/chat", "c", None);
        let provider = GenAiProvider { convention: "deepseek", name: "deepseek_r1", url: &url() };
        let (span, _) = genai_span("chat", provider, "deepseek-reasoner", &context);
        let (model, id, reasons) = (Some("deepseek-reasoner-0528"), Some("c-1"), ["stop".to_owned()]);
        let usage = GenAiUsage {
            model,
            id,
            finish_reasons: &reasons,
            input_tokens: Some(7),
            cached_tokens: Some(4),
            ..GenAiUsage::default()
        };
        record_genai(&span, GenAiUsage { output_tokens: Some(u64::MAX), reasoning_tokens: Some(2), ..usage });
    });
    let call = named(&inner, "chat deepseek-reasoner");
    assert_eq!(call.span_kind, SpanKind::Client);
    for (name, value) in [
        ("gen_ai.operation.name", Value::from("chat")),
        ("gen_ai.provider.name", "deepseek".into()),
        ("vx11.provider", "deepseek_r1".into()),
        ("gen_ai.response.id", "c-1".into()),
        ("gen_ai.response.finish_reasons", Value::Array(Array::String(vec!["stop".into()]))),
        ("gen_ai.request.model", "deepseek-reasoner".into()),
        ("gen_ai.response.model", "deepseek-reasoner-0528".into()),
        ("gen_ai.usage.input_tokens", 7.into()),
        ("gen_ai.usage.cache_read.input_tokens", 4.into()),
        ("gen_ai.usage.reasoning.output_tokens", 2.into()),
        ("server.address", "127.0.0.1".into()),
        ("server.port", 8002.into()),
    ] {
        assert_eq!(values(call, name), [&value], "{name}");
    }
    assert!(values(call, "gen_ai.usage.output_tokens").is_empty(), "more than a trace can hold");
}

#[test]
fn the_callers_sampling_decision_is_kept() {
    let by_ratio = || Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
    let request = |flags: &'static str| {
        move || {
            let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let parent = TraceContext::parse(Some(&parent), Some("vendor=a1")).expect("valid");
            let (_span, context) = server_span("operator", "GET", "/x", "/x", "c", Some(&parent));
            assert_eq!(context.trace_id(), parent.trace_id());
            assert!(context.traceparent().ends_with(flags), "{}", context.traceparent());
            assert_eq!(context.tracestate(), Some("vendor=a1"));
        }
    };
    assert_eq!(exported(by_ratio(), request("01"))[1].len(), 1);
    assert_eq!(exported(by_ratio(), request("00"))[1].len(), 0);
}

/// Ends only together with the exporters of the other services.
#[derive(Debug)]
struct Together(Arc<Barrier>);

impl SpanExporter for Together {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        self.0.wait();
        Ok(())
    }
}

#[test]
fn services_are_flushed_at_the_same_time() {
    let barrier = Arc::new(Barrier::new(3));
    let exporters =
        ["a", "b", "c"].map(|name| (name.to_owned(), Resource::builder().build(), Together(barrier.clone())));
    let router = ServiceRouter::new(exporters);
    assert_eq!(router.shutdown_with_timeout(Duration::from_secs(10)).map_err(|error| error.to_string()), Ok(()));
}
