//! Sends each span to the exporter of the service that made it, so that services in one process show as what they are.

use std::time::Duration;

use opentelemetry::{Context, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

/// The attribute that names a span's service; it becomes the resource's `service.name`.
const SERVICE: &str = "service";

/// How long spans are gathered before they are sent.
const GATHER: Duration = Duration::from_secs(1);

/// A span processor for each service of the process.
#[derive(Debug)]
pub(super) struct ServiceRouter {
    /// Never empty. Spans that name no known service go to the first.
    services: Vec<(String, BatchSpanProcessor)>,
}

impl ServiceRouter {
    /// Routes to an exporter for each of `services`.
    pub(super) fn new<E: SpanExporter + 'static>(services: impl IntoIterator<Item = (String, Resource, E)>) -> Self {
        let config = || BatchConfigBuilder::default().with_scheduled_delay(GATHER).build();
        let services = services.into_iter().map(|(name, resource, exporter)| {
            let mut processor = BatchSpanProcessor::new(exporter, config());
            processor.set_resource(&resource);
            (name, processor)
        });
        Self { services: services.collect() }
    }

    fn processor(&self, service: Option<&Value>) -> Option<&BatchSpanProcessor> {
        let named = service.and_then(|service| self.services.iter().find(|(name, _)| *name == service.as_str()));
        named.or(self.services.first()).map(|(_, processor)| processor)
    }

    fn each(&self, call: impl Fn(&BatchSpanProcessor) -> OTelSdkResult) -> OTelSdkResult {
        let results: Vec<OTelSdkResult> = self.services.iter().map(|(_, processor)| call(processor)).collect();
        results.into_iter().collect()
    }
}

impl SpanProcessor for ServiceRouter {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        let at = span.attributes.iter().position(|attribute| attribute.key.as_str() == SERVICE);
        let service = at.map(|at| span.attributes.swap_remove(at).value);
        if let Some(processor) = self.processor(service.as_ref()) {
            processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.each(SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.each(|processor| processor.shutdown_with_timeout(timeout))
    }

    // Each service has its own resource; the provider's would replace them all.
    fn set_resource(&mut self, _: &Resource) {}
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt;

    use super::super::{exporter::resource, layer};
    use super::*;
    use crate::{TraceContext, client_span, server_span};

    #[test]
    fn each_service_exports_its_own_spans_of_one_trace() {
        let (edge, inner) = (InMemorySpanExporter::default(), InMemorySpanExporter::default());
        let router = ServiceRouter::new([
            ("tentaculo".to_owned(), resource("tentaculo"), edge.clone()),
            ("operator".to_owned(), resource("operator"), inner.clone()),
        ]);
        let provider = SdkTracerProvider::builder().with_span_processor(router).build();
        let subscriber = tracing_subscriber::registry().with(layer(provider.tracer("test")));
        tracing::subscriber::with_default(subscriber, || {
            let (served, context) = server_span("tentaculo", "GET", "/x", "/x", "c", None);
            let sent = {
                let _entered = served.enter();
                let (call, sent) =
                    client_span("GET", "operator", &"http://127.0.0.1:1/".parse().expect("a URL"), &context);
                drop(call);
                sent
            };
            let arrived = TraceContext::parse(Some(&sent.traceparent()), sent.tracestate());
            drop(server_span("operator", "GET", "/x", "/x", "c", arrived.as_ref()));
        });
        provider.force_flush().expect("flushes");
        let (edge, inner) = (edge.get_finished_spans().expect("spans"), inner.get_finished_spans().expect("spans"));
        let call = edge.iter().find(|span| span.name == "GET operator").expect("the call");
        let served = edge.iter().find(|span| span.name == "GET /x").expect("the request");
        assert_eq!((edge.len(), inner.len()), (2, 1));
        assert_eq!(call.parent_span_id, served.span_context.span_id());
        assert_eq!(inner[0].parent_span_id, call.span_context.span_id());
        assert_eq!(inner[0].span_context.trace_id(), served.span_context.trace_id());
        assert!(edge.iter().all(|span| span.attributes.iter().all(|attribute| attribute.key.as_str() != SERVICE)));
    }
}
