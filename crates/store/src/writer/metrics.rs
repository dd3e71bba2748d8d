//! The writer's numbers, `vx11_store_*`.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};

use super::queue::{Depth, Queue};

#[derive(Clone)]
pub(super) struct Metrics {
    /// Seconds from the start of a transaction to its commit being on disk. Its count is the number of commits.
    pub(super) commit_seconds: Histogram,
    pub(super) rows_written: IntCounter,
    dropped: IntCounterVec,
    pub(super) dropped_backlog_full: IntCounter,
    pub(super) dropped_queue_full: IntCounter,
    pub(super) dropped_rejected: IntCounter,
    queue_rows: IntGauge,
    backlog_rows: IntGauge,
    degraded: IntGauge,
}

impl Metrics {
    pub(super) fn new() -> Self {
        // A sync takes from a fraction of a millisecond to as long as a bad disk likes.
        let buckets = prometheus::exponential_buckets(0.000_25, 2.0, 14).expect("the arguments are in range");
        let commit_seconds = HistogramOpts::new(
            "vx11_store_commit_seconds",
            "Time that one transaction of the writer took, until it was on disk.",
        )
        .buckets(buckets);
        let dropped = IntCounterVec::new(
            Opts::new("vx11_store_rows_dropped_total", "Rows that were not written, by reason."),
            &["reason"],
        )
        .expect("the name is valid");
        let counter = |name, help| IntCounter::new(name, help).expect("the name is valid");
        let gauge = |name, help| IntGauge::new(name, help).expect("the name is valid");
        Self {
            commit_seconds: Histogram::with_opts(commit_seconds).expect("the name is valid"),
            rows_written: counter("vx11_store_rows_written_total", "Rows that the writer made durable."),
            dropped_backlog_full: dropped.with_label_values(&["backlog_full"]),
            dropped_queue_full: dropped.with_label_values(&["queue_full"]),
            dropped_rejected: dropped.with_label_values(&["rejected"]),
            dropped,
            queue_rows: gauge("vx11_store_queue_rows", "Rows that wait for their transaction."),
            backlog_rows: gauge("vx11_store_backlog_rows", "Rows kept while the store cannot be written."),
            degraded: gauge("vx11_store_degraded", "1 while the store cannot be written, else 0."),
        }
    }

    fn all(&self) -> [&dyn Collector; 6] {
        let Self { commit_seconds, rows_written, dropped, queue_rows, backlog_rows, degraded, .. } = self;
        [commit_seconds, rows_written, dropped, queue_rows, backlog_rows, degraded]
    }
}

/// The writer's metrics as a registry sees them: the gauges are read from the queue when it is scraped.
pub(super) struct Scraped<R> {
    queue: Arc<Queue<R>>,
}

impl<R> Scraped<R> {
    pub(super) fn new(queue: Arc<Queue<R>>) -> Self {
        Self { queue }
    }
}

impl<R: Send> Collector for Scraped<R> {
    fn desc(&self) -> Vec<&Desc> {
        self.queue.metrics.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let metrics = &self.queue.metrics;
        let Depth { rows, degraded } = self.queue.depth();
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        metrics.queue_rows.set(if degraded { 0 } else { rows });
        metrics.backlog_rows.set(if degraded { rows } else { 0 });
        metrics.degraded.set(i64::from(degraded));
        metrics.all().into_iter().flat_map(Collector::collect).collect()
    }
}
