//! Spans to an OpenTelemetry collector.

mod exporter;
mod finish;
mod router;
#[cfg(test)]
mod tests;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tracing::{Metadata, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::config::OtlpConfig;
use crate::span;
use crate::subscriber::TelemetryError;
use exporter::Transport;
use router::ServiceRouter;

/// Longest wait for the collector to take the last spans.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// The running exporters. Dropping it sends the spans that wait, within [`FLUSH_LIMIT`], and blocks until then.
#[derive(Debug)]
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

/// Starts exporting; `None` where no endpoint is configured.
pub(crate) fn start(config: &OtlpConfig, services: &[&str]) -> Result<Option<Traces>, TelemetryError> {
    let Some(endpoint) = &config.endpoint else { return Ok(None) };
    if !(0.0..=1.0).contains(&config.sample_ratio) {
        return Err(TelemetryError::Exporter("sample_ratio must be 0 to 1".to_owned()));
    }
    // Made now, so that a bad endpoint stops the start and not the first span.
    let transport = Transport::new(config, endpoint)?;
    let exporters =
        services.iter().map(|name| Ok(((*name).to_owned(), exporter::resource(name), transport.exporter(name)?)));
    let router = ServiceRouter::new(exporters.collect::<Result<Vec<_>, TelemetryError>>()?);
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample_ratio)));
    let provider = SdkTracerProvider::builder().with_span_processor(router).with_sampler(sampler).build();
    Ok(Some(Traces { provider }))
}

impl Traces {
    /// The layer that turns VX11's own spans into exported ones.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    {
        layer(self.provider.tracer("vx11"))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.provider.shutdown_with_timeout(FLUSH_LIMIT) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

fn layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    OpenTelemetryLayer::new(tracer)
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_ours))
}

/// Only the spans that this crate makes: they name their service, and libraries' own spans would drown them.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && [span::REQUESTS, span::CALLS].contains(&metadata.target())
}
