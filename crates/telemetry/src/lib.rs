//! Logs, traces and metrics of a VX11 service, and the trace context in and out of a process.
//!
//! Five services can share one process, so everything that is exported carries the name of the service it came from:
//! log lines and spans take it from the enclosing span's field `service`, metrics live in a registry a service. The
//! one global is the tracing subscriber. Nothing here knows HTTP types or a service.

mod config;
mod context;
mod logs;
mod metrics;
mod span;
mod subscriber;
mod trace;

pub use config::{LogFormat, OtlpConfig, OtlpProtocol, TelemetryConfig};
pub use context::TraceContext;
pub use metrics::{ANSWER_SECONDS, HttpMetrics, ServiceMetrics};
pub use span::{GenAiProvider, GenAiUsage, client_span, genai_span, record_genai, server_span};
pub use subscriber::{Guard, TelemetryError, init};
