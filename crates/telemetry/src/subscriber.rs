//! Sets up the process's one tracing subscriber.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use tracing::Level;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{LogFormat, TelemetryConfig};
use crate::logs::{self, Lines, LinesGuard, LogLayer, Style};
use crate::span;
use crate::trace::{self, Traces};

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `telemetry.log_level` cannot be read.
    #[error("telemetry.log_level: {0}")]
    Filter(String),
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
    _lines: LinesGuard,
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
    let filter = targets(&config.log_level)?;
    let style = match config.log_format {
        LogFormat::Json => Style::Json,
        LogFormat::Human => Style::Human,
        LogFormat::Auto if std::io::stdout().is_terminal() => Style::Human,
        LogFormat::Auto => Style::Json,
    };
    // Through a plain file, because `Stdout` makes a system call a line.
    let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    let (lines, guard) = Lines::start(stdout)?;
    let traces = trace::start(&config.otlp, services)?;
    // Spans carry the ids of the lines within them, whatever the level of the lines.
    let filter = filter.with_target(span::REQUESTS, Level::INFO);
    let filter = filter.with_target(span::CALLS, traces.as_ref().map(|_| Level::INFO));
    let log_layer = LogLayer::new(style, process, lines.clone());
    let trace_layer = traces.as_ref().map(Traces::layer);
    // One filter for both: to filter a layer of its own, every span is looked up again at every step.
    tracing_subscriber::registry().with(trace_layer).with(log_layer).with(filter).try_init()?;
    logs::count_dropped(lines);
    Ok(Guard { _traces: traces, _lines: guard })
}

/// Levels, and modules with theirs, separated by commas. What `Targets` cannot read it would take for the name of a
/// module that logs nothing.
fn targets(text: &str) -> Result<Targets, TelemetryError> {
    let pieces: Vec<_> = text.split(',').map(str::trim).filter(|piece| !piece.is_empty()).collect();
    if let Some(piece) = pieces.iter().find(|piece| piece.ends_with('=') || piece.contains(['[', ' '])) {
        return Err(TelemetryError::Filter(format!("`{piece}` is neither a level nor `module=level`")));
    }
    pieces.join(",").parse().map_err(|error: ParseError| TelemetryError::Filter(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_with_blanks_and_without_spans() {
        let read = targets(" info, vx11_switch=debug,,").expect("a filter");
        assert!(
            read.would_enable("vx11_switch::gateway", &Level::DEBUG) && read.would_enable("vx11_store", &Level::INFO)
        );
        assert!(!read.would_enable("vx11_store", &Level::DEBUG));
        for refused in ["vx11_switch=", "[request]=debug", "vx11_switch[request]=debug", "vx11 switch=info", "x=loud"] {
            assert!(targets(refused).is_err(), "{refused}");
        }
    }
}
