//! Sets up the process's one tracing subscriber.

use std::fs::File;
use std::io::{BufWriter, IsTerminal};
use std::os::fd::AsFd;

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, TelemetryConfig};
use crate::logs::{self, LogLayer, Style};
use crate::trace::{self, Traces};

/// Lines that may wait to be written.
const QUEUED_LINES: usize = 16 * 1024;

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log_level` cannot be read.
    #[error("telemetry.log_level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `telemetry.otlp` cannot be used.
    #[error("telemetry.otlp: {0}")]
    Exporter(String),
    /// Standard output is closed.
    #[error("standard output: {0}")]
    Output(#[from] std::io::Error),
    /// The process has a subscriber already.
    #[error(transparent)]
    Installed(#[from] TryInitError),
}

/// Keeps telemetry going. Dropping it sends the last spans and writes the lines that wait; it blocks for at most six
/// seconds, so that async code better calls [`Guard::shutdown`].
#[derive(Debug)]
pub struct Guard {
    // In this order: what sending the spans has to say is a line too.
    _traces: Option<Traces>,
    _lines: WorkerGuard,
}

impl Guard {
    /// Sends the last spans and writes the lines that wait. Spans that the collector has not taken after five seconds
    /// are lost.
    pub async fn shutdown(self) {
        // Flushing blocks, within its own limit. It fails only by a panic, which has been reported then.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

/// Starts logs, and traces where an endpoint is configured, of a process that runs `services`. Lines that no service
/// claims are named after `process`. Call it within a tokio runtime: the gRPC exporter needs one.
///
/// # Errors
/// When the configuration cannot be used, or a subscriber is installed already.
pub fn init(config: &TelemetryConfig, process: &str, services: &[&str]) -> Result<Guard, TelemetryError> {
    let filter: EnvFilter = config.log_level.parse()?;
    // Spans carry the ids of the lines within them, whatever the level of the lines.
    let filter = filter.add_directive("vx11_telemetry::span=info".parse()?);
    let style = match config.log_format {
        LogFormat::Json => Style::Json,
        LogFormat::Human => Style::Human,
        LogFormat::Auto if std::io::stdout().is_terminal() => Style::Human,
        LogFormat::Auto => Style::Json,
    };
    let (writer, lines) = queue()?;
    let dropped = writer.error_counter();
    let traces = trace::start(&config.otlp, services)?;
    let log_layer = LogLayer::new(style, process, writer).with_filter(filter);
    let trace_layer = traces.as_ref().map(Traces::layer);
    tracing_subscriber::registry().with(trace_layer).with(log_layer).try_init()?;
    logs::count_dropped(dropped);
    Ok(Guard { _traces: traces, _lines: lines })
}

/// A bounded queue to standard output. Written through a plain file, because `Stdout` makes a system call a line.
fn queue() -> std::io::Result<(NonBlocking, WorkerGuard)> {
    let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let builder =
        NonBlockingBuilder::default().buffered_lines_limit(QUEUED_LINES).lossy(true).thread_name("log-writer");
    Ok(builder.finish(BufWriter::with_capacity(64 * 1024, stdout)))
}
