//! The durable group-commit writer of the hot path.
//!
//! One thread with one connection takes whatever rows are waiting, writes them in one transaction, commits, and
//! answers everybody whose row was in it: many requests share one disk sync, and acknowledged means durable. A row that
//! comes alone is written at once where somebody waits for it; where several do, the thread gives more of them some
//! milliseconds to come, and longer where nobody does ([`WriterConfig::gather`], [`WriterConfig::linger`]).
//!
//! When the database cannot be written (locked, read-only, full, gone), chat must not stop. The writer then is
//! *degraded*: rows stay in memory in order, callers hear [`WriteError::Deferred`] at once, and the thread tries
//! again every half second with a new connection until it succeeds. The memory is bounded: beyond it the oldest
//! rows are dropped and counted. A row that the database refuses for its own sake (a constraint) is found by halving
//! the transaction, and answered with [`WriteError::Rejected`]; the others are written.
//!
//! Two things it cannot promise: a caller that gives up may still have its row written, and a disk that fails in
//! the middle of a commit may make the retry write rows twice.

mod metrics;
mod queue;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{AnyConnection, Database, StoreError, WriterConfig};

use metrics::{Metrics, Scraped};
use queue::Queue;
use worker::Worker;

/// What a service does with its rows. Runs on the writer's thread.
pub trait Sink: Send + 'static {
    /// One thing to write; an enum when there are several kinds.
    type Row: Send + 'static;
    /// What [`Sink::apply`] learned that matters once it is durable, such as the greatest row id.
    type Receipt: Send;

    /// Writes `rows` into the open transaction. It may be called again for the same rows when the transaction
    /// fails, so it must have no effect but on `conn`: what it wants to remember goes into the receipt.
    fn apply(&self, conn: &mut AnyConnection, rows: &[Self::Row]) -> QueryResult<Self::Receipt>;

    /// The rows are durable; their callers have not heard yet. Should be quick, and must not block.
    fn committed(&mut self, rows: &[Self::Row], receipt: Self::Receipt) {
        let _ = (rows, receipt);
    }
}

/// Why a row is not known to be durable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Kept in memory and written when the database allows; lost if the process ends before.
    #[error("kept in memory, not durable yet")]
    Deferred,
    /// Not kept: the database does not keep up and the memory is full.
    #[error("too many rows are waiting to be written")]
    Overloaded,
    /// Not kept: the database refuses this row, and always will.
    #[error("the row was rejected: {0}")]
    Rejected(String),
    /// Not kept: the writer has stopped.
    #[error("the writer has stopped")]
    Stopped,
}

/// Not everything was durable in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{left} rows were not written in time")]
pub struct FlushError {
    /// Rows still in memory.
    pub left: usize,
}

/// How the writer is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum WriterHealth {
    /// Rows are written as they come.
    Ok,
    /// The database cannot be written; rows are kept in memory.
    Degraded {
        /// Since when, RFC 3339.
        since: String,
        /// Why, in SQLite's words.
        reason: String,
        /// Rows kept.
        backlog_rows: usize,
    },
    /// The writer has ended; no row is kept.
    Stopped,
}

/// A handle to the writer of rows `R`. A clone is the same writer; when the last is dropped, the thread writes what
/// is waiting and ends.
pub struct Writer<R> {
    handle: Arc<Handle<R>>,
}

struct Handle<R> {
    queue: Arc<Queue<R>>,
    config: WriterConfig,
}

impl<R: Send + 'static> Writer<R> {
    /// Starts the writer's thread. Its log lines are in the span that is current here.
    pub fn start(database: &Database, sink: impl Sink<Row = R>, config: WriterConfig) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::new(config.capacity, Metrics::new()));
        let worker = Worker::new(sink, database.place().clone(), queue.clone(), config.clone());
        let span = tracing::Span::current();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || span.in_scope(|| worker.run()))
            .map_err(|error| StoreError::Busy(error.to_string()))?;
        Ok(Self { handle: Arc::new(Handle { queue, config }) })
    }

    /// Writes a row; `Ok` means that it is on disk. Waits for the transaction that it is part of, at most
    /// [`WriterConfig::ack_timeout`], and not at all while the writer is degraded. Dropping the future does not take
    /// the row back.
    pub async fn write(&self, row: R) -> Result<(), WriteError> {
        let answer = self.handle.queue.push_and_wait(row)?;
        match tokio::time::timeout(self.handle.config.ack_timeout, answer).await {
            Ok(answered) => answered.unwrap_or(Err(WriteError::Stopped)),
            Err(_) => Err(WriteError::Deferred),
        }
    }

    /// Leaves a row to be written, without waiting or hearing of it. `Ok` means that it is in memory.
    pub fn try_enqueue(&self, row: R) -> Result<(), WriteError> {
        self.handle.queue.push(row)
    }

    /// Waits until every row that is in memory is durable: at shutdown, after the last request.
    pub async fn flush(&self, timeout: Duration) -> Result<(), FlushError> {
        let queue = &self.handle.queue;
        match tokio::time::timeout(timeout, queue.drained()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(FlushError { left: queue.len() }),
        }
    }

    /// How it is doing now.
    pub fn health(&self) -> WriterHealth {
        self.handle.queue.health()
    }

    /// Registers the writer's metrics, `vx11_store_*`, with a service's registry.
    pub fn register(&self, registry: &prometheus::Registry) -> prometheus::Result<()> {
        registry.register(Box::new(Scraped::new(self.handle.queue.clone())))
    }
}

impl<R> Clone for Writer<R> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone() }
    }
}

impl<R> std::fmt::Debug for Writer<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("config", &self.handle.config).finish_non_exhaustive()
    }
}

impl<R> Drop for Handle<R> {
    fn drop(&mut self) {
        self.queue.close();
    }
}
