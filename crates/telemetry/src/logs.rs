//! Log lines: one JSON object a line for programs, or one short line for people.
//!
//! The layer writes each line straight into a buffer that its thread reuses, and hands it to a bounded queue; a thread
//! of its own writes the queue to standard output. A full queue drops lines, and counts them, rather than slow requests.

mod fields;
mod human;
mod json;
mod layer;

use std::sync::OnceLock;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Opts};
use tracing_appender::non_blocking::ErrorCounter;

pub(crate) use layer::{LogLayer, Style};

/// Lines dropped so far, from the process's one log queue.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// Makes the queue's count visible in every service's metrics.
pub(crate) fn count_dropped(counter: ErrorCounter) {
    // A second subscriber is refused before it gets here.
    let _ = DROPPED.set(counter);
}

/// `vx11_log_lines_dropped_total`
pub(crate) struct DroppedLines(IntCounter);

impl DroppedLines {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let help = "Log lines that the process dropped because its log queue was full.";
        Ok(Self(IntCounter::with_opts(Opts::new("vx11_log_lines_dropped_total", help))?))
    }
}

impl Collector for DroppedLines {
    fn desc(&self) -> Vec<&Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let dropped = DROPPED.get().map_or(0, ErrorCounter::dropped_lines) as u64;
        self.0.inc_by(dropped.saturating_sub(self.0.get()));
        self.0.collect()
    }
}
