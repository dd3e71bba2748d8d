//! Log lines: one JSON object a line for programs, or one short line for people.
//!
//! The layer writes each line straight into a buffer that its thread reuses, and hands it to a bounded queue; a thread
//! of its own writes the queue to standard output.

#[cfg(test)]
pub(crate) mod capture;
mod event;
mod fields;
mod human;
mod json;
mod layer;
mod queue;

use std::sync::OnceLock;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, Opts};

pub(crate) use fields::SpanFields;
pub(crate) use layer::LogLayer;
pub(crate) use queue::{Lines, LinesGuard};

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Style {
    #[default]
    Json,
    Human,
}

/// The process's one log queue, which counts what it drops.
static QUEUE: OnceLock<Lines> = OnceLock::new();

/// Makes the queue's count visible in every service's metrics.
pub(crate) fn count_dropped(queue: Lines) {
    // A process has one subscriber and so one queue; a second one was refused before it came here.
    let _ = QUEUE.set(queue);
}

/// `vx11_log_lines_dropped_total`
pub(crate) struct DroppedLines {
    zero: IntCounter,
}

impl DroppedLines {
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self { zero: counter()? })
    }
}

fn counter() -> prometheus::Result<IntCounter> {
    let help = "Log lines that the process dropped because its log queue was full.";
    IntCounter::with_opts(Opts::new("vx11_log_lines_dropped_total", help))
}

impl Collector for DroppedLines {
    fn desc(&self) -> Vec<&Desc> {
        self.zero.desc()
    }

    /// The count as it is now. Each scrape gets a counter of its own, so that two at a time cannot add up.
    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(counter) = counter() else { return Vec::new() };
        counter.inc_by(QUEUE.get().map_or(0, Lines::dropped));
        counter.collect()
    }
}
