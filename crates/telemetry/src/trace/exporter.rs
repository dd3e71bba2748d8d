//! The way to the collector: where it is, how to speak to it, and what is said when it does not take the spans.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as Export};
use url::Url;

use crate::config::{OtlpConfig, OtlpProtocol};
use crate::subscriber::TelemetryError;

/// Makes exporters to one collector; what they can share, they share.
pub(super) enum Transport {
    Http { client: reqwest::blocking::Client, url: String, timeout: Duration },
    Grpc { url: Url, timeout: Duration },
}

impl Transport {
    /// The way to the collector at `endpoint`.
    pub(super) fn new(config: &OtlpConfig, endpoint: &Url) -> Result<Self, TelemetryError> {
        if !matches!(endpoint.scheme(), "http" | "https") {
            return Err(refused(format!("endpoint must begin with http:// or https://, not {}:", endpoint.scheme())));
        }
        let timeout = config.timeout;
        match config.protocol {
            OtlpProtocol::Http => {
                Ok(Self::Http { client: http_client(endpoint, timeout)?, url: traces_url(endpoint), timeout })
            }
            OtlpProtocol::Grpc if tokio::runtime::Handle::try_current().is_err() => {
                Err(refused("protocol grpc needs a tokio runtime"))
            }
            OtlpProtocol::Grpc => Ok(Self::Grpc { url: endpoint.clone(), timeout }),
        }
    }

    /// An exporter for the spans of `service`.
    pub(super) fn exporter(&self, service: &str) -> Result<Reported<SpanExporter>, TelemetryError> {
        let builder = SpanExporter::builder();
        let made = match self {
            Self::Http { client, url, timeout } => builder
                .with_http()
                .with_http_client(client.clone())
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(url)
                .with_timeout(*timeout)
                .build(),
            Self::Grpc { url, timeout } => {
                let builder = builder.with_tonic().with_endpoint(url.as_str()).with_timeout(*timeout);
                match url.scheme() {
                    "https" => builder.with_tls_config(ClientTlsConfig::new().with_enabled_roots()).build(),
                    _ => builder.build(),
                }
            }
        };
        made.map(|exporter| Reported::new(service, exporter)).map_err(refused)
    }
}

/// A client for the exporters' own threads, which block.
fn http_client(endpoint: &Url, timeout: Duration) -> Result<reqwest::blocking::Client, TelemetryError> {
    // Two services in one process may both come here; the first one wins.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::blocking::Client::builder().timeout(timeout);
    // The system's certificates take time to load, and a small image has none; plain HTTP needs none.
    let builder = if endpoint.scheme() == "http" { builder.tls_certs_only([]) } else { builder };
    // A blocking client refuses to be built by a thread that runs async work.
    let built = std::thread::spawn(move || builder.build()).join();
    built.map_err(|_| refused("the HTTP client cannot be built"))?.map_err(refused)
}

fn refused(cause: impl ToString) -> TelemetryError {
    TelemetryError::Exporter(cause.to_string())
}

/// The signal's own address below the collector's.
fn traces_url(endpoint: &Url) -> String {
    let mut url = endpoint.clone();
    let base = endpoint.path().trim_end_matches('/');
    if base.ends_with("/v1/traces") {
        url.set_path(base);
    } else {
        url.set_path(&format!("{base}/v1/traces"));
    }
    url.into()
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

/// Says once when the collector stops taking a service's spans, and once when it takes them again.
#[derive(Debug)]
pub(super) struct Reported<E> {
    service: String,
    exporter: E,
    failing: AtomicBool,
}

impl<E> Reported<E> {
    fn new(service: &str, exporter: E) -> Self {
        Self { service: service.to_owned(), exporter, failing: AtomicBool::new(false) }
    }
}

impl<E: Export> Export for Reported<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let service = &*self.service;
        let result = self.exporter.export(batch).await;
        match &result {
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(service, %error, "the collector does not take spans; they are lost until it does");
            }
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!(service, "the collector takes spans again");
            }
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().expect("a URL")
    }

    #[test]
    fn the_signal_path_is_added_once() {
        for endpoint in ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces", "http://c:4318/v1/traces/"] {
            assert_eq!(traces_url(&url(endpoint)), "http://c:4318/v1/traces");
        }
        assert_eq!(traces_url(&url("http://c/otlp/")), "http://c/otlp/v1/traces");
        assert_eq!(traces_url(&url("https://c/otlp?tenant=a")), "https://c/otlp/v1/traces?tenant=a");
    }

    #[test]
    fn an_endpoint_that_cannot_work_is_refused_at_the_start() {
        // What `host:port` without a scheme is read as.
        let error = Transport::new(&OtlpConfig::default(), &url("collector:4318")).err().expect("refused");
        assert_eq!(error.to_string(), "telemetry.otlp: endpoint must begin with http:// or https://, not collector:");
        let grpc = OtlpConfig { protocol: OtlpProtocol::Grpc, ..OtlpConfig::default() };
        assert!(Transport::new(&grpc, &url("http://c:4317")).is_err(), "without a runtime");
    }

    #[tokio::test]
    async fn either_protocol_can_be_encrypted() {
        for protocol in [OtlpProtocol::Http, OtlpProtocol::Grpc] {
            let config = OtlpConfig { protocol, ..OtlpConfig::default() };
            let transport = Transport::new(&config, &url("https://collector.example")).expect("a transport");
            transport.exporter("depot").expect("an exporter");
        }
    }

    /// Takes spans or refuses them, as told.
    #[derive(Debug, Default)]
    struct Collector {
        down: AtomicBool,
    }

    impl Export for Collector {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            match self.down.load(Ordering::Relaxed) {
                true => Err(opentelemetry_sdk::error::OTelSdkError::InternalFailure("connection refused".to_owned())),
                false => Ok(()),
            }
        }
    }

    #[test]
    fn an_outage_of_the_collector_is_said_once_and_so_is_its_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let reported = Reported::new("depot", Collector::default());
        let lines = crate::logs::capture::json_lines(|| {
            for down in [false, true, true, false, false] {
                reported.exporter.down.store(down, Ordering::Relaxed);
                assert_eq!(runtime.block_on(reported.export(Vec::new())).is_err(), down);
            }
        });
        let said: Vec<_> = lines.iter().map(|line| (line["level"].as_str(), line["service"].as_str())).collect();
        assert_eq!(said, [(Some("WARN"), Some("depot")), (Some("INFO"), Some("depot"))]);
        assert!(lines[0]["error"].as_str().is_some_and(|error| error.contains("connection refused")));
    }
}
