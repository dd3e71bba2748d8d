//! `[telemetry]`

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

/// Logs and traces.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged, as `tracing-subscriber`'s `Targets` reads it, such as `info,vx11_switch=debug`.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> serde_json::Result<TelemetryConfig> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_is_left_out_works_on_one_machine() {
        let config = read("{}").expect("complete");
        assert_eq!((config.log_format, config.otlp.endpoint), (LogFormat::Auto, None));
        assert_eq!((config.otlp.protocol, config.otlp.sample_ratio), (OtlpProtocol::Http, 1.0));
    }

    #[test]
    fn names_are_read_as_they_are_documented_and_no_others() {
        let config =
            r#"{"log_format": "human", "otlp": {"endpoint": "http://c:4317", "protocol": "grpc", "timeout": "2s"}}"#;
        let config = read(config).expect("valid");
        assert_eq!((config.log_format, config.otlp.timeout), (LogFormat::Human, Duration::from_secs(2)));
        assert_eq!(
            read(r#"{"otlp": {"protocol": "http/protobuf"}}"#).expect("valid").otlp.protocol,
            OtlpProtocol::Http
        );
        for wrong in [r#"{"loglevel": "info"}"#, r#"{"otlp": {"url": "http://c"}}"#, r#"{"otlp": {"endpoint": "c"}}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
