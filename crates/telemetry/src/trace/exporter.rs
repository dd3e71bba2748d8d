//! The OTLP exporter of one service.

use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use url::Url;

use crate::config::{OtlpConfig, OtlpProtocol};
use crate::subscriber::TelemetryError;

/// An exporter to the collector at `endpoint`.
pub(super) fn make(config: &OtlpConfig, endpoint: &Url) -> Result<SpanExporter, TelemetryError> {
    let builder = SpanExporter::builder();
    let made = match config.protocol {
        OtlpProtocol::Http => {
            builder.with_http().with_endpoint(traces_url(endpoint)).with_timeout(config.timeout).build()
        }
        OtlpProtocol::Grpc => {
            builder.with_tonic().with_endpoint(endpoint.as_str()).with_timeout(config.timeout).build()
        }
    };
    made.map_err(|error| TelemetryError::Exporter(error.to_string()))
}

/// The signal's own address below the collector's.
fn traces_url(endpoint: &Url) -> String {
    let base = endpoint.as_str().trim_end_matches('/');
    if base.ends_with("/v1/traces") { base.to_owned() } else { format!("{base}/v1/traces") }
}

/// What is said of every span of `service`.
pub(super) fn resource(service: &str) -> Resource {
    Resource::builder()
        .with_service_name(service.to_owned())
        .with_attributes([
            KeyValue::new("service.namespace", "vx11"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_path_is_added_once() {
        for endpoint in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"] {
            assert_eq!(traces_url(&endpoint.parse().expect("a URL")), "http://c:4318/v1/traces");
        }
        assert_eq!(traces_url(&"http://c/otlp/".parse().expect("a URL")), "http://c/otlp/v1/traces");
    }
}
