//! Sends each span to the exporter of the service that made it, so that services in one process show as what they are.

use std::thread::{Builder, scope};
use std::time::Duration;

use opentelemetry::{Context, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor};

use super::finish::finish;

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

    /// Calls every processor at the same time, because each may wait as long as it is allowed.
    fn each(&self, call: impl Fn(&BatchSpanProcessor) -> OTelSdkResult + Sync) -> OTelSdkResult {
        let call = &call;
        scope(|threads| {
            let calls: Vec<_> = self
                .services
                .iter()
                .map(|(_, processor)| Builder::new().spawn_scoped(threads, move || call(processor)))
                .collect();
            let failed = |cause: &str| OTelSdkError::InternalFailure(cause.to_owned());
            calls
                .into_iter()
                .map(|call| match call {
                    Ok(call) => call.join().unwrap_or_else(|_| Err(failed("a processor panicked"))),
                    Err(error) => Err(failed(&error.to_string())),
                })
                .collect::<Vec<_>>()
        })
        .into_iter()
        .collect()
    }
}

impl SpanProcessor for ServiceRouter {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        let service = finish(&mut span);
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
