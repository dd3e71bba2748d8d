//! `[telemetry]`

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

/// Logs and traces.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged, as `tracing-subscriber`'s `EnvFilter` reads it, such as `info,vx11_switch=debug`.
    pub log_level: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where traces go.
    pub otlp: OtlpConfig,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people when standard output is a terminal, else JSON.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Human,
}

/// `[telemetry.otlp]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// The collector; no endpoint, no traces. For `http` the path `/v1/traces` is added where it is missing.
    pub endpoint: Option<Url>,
    /// How to speak to it.
    pub protocol: OtlpProtocol,
    /// Which part of new traces is kept, 0 to 1. A request that comes with a trace keeps its caller's decision.
    pub sample_ratio: f64,
    /// Longest wait for the collector.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
}

/// The two transports of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OtlpProtocol {
    /// Protobuf over HTTP, usually port 4318.
    #[default]
    #[serde(alias = "http/protobuf")]
    Http,
    /// gRPC, usually port 4317.
    Grpc,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log_level: "info,actix_server=warn".to_owned(),
            log_format: LogFormat::default(),
            otlp: OtlpConfig::default(),
        }
    }
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self { endpoint: None, protocol: OtlpProtocol::default(), sample_ratio: 1.0, timeout: Duration::from_secs(5) }
    }
}
