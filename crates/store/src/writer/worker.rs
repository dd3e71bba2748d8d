//! The writer's thread: take rows, write them, answer; when the database cannot be written, give them back.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::result::Error as DieselError;
use diesel::sql_types::BigInt;
use diesel::{QueryResult, RunQueryDsl, define_sql_function};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::Sink;
use super::queue::{Batch, Queue};
use crate::database::{Access, Place, Pooled, in_transaction};
use crate::error::Fault;
use crate::upkeep::partitions;
use crate::{AnyConnection, Scope, WriteError, WriterConfig};

pub(super) struct Worker<S: Sink> {
    sink: S,
    link: Link,
    queue: Arc<Queue<S::Row>>,
    config: WriterConfig,
    unsure: Option<Unsure<S::Receipt>>,
}

/// A transaction of PostgreSQL's that may have been kept: the answer to its COMMIT never came. Its rows are the next ones.
struct Unsure<R> {
    transaction: i64,
    rows: usize,
    receipt: R,
    /// Rows that had been dropped for want of room by then.
    dropped: u64,
}

impl<S: Sink> Worker<S> {
    pub(super) fn new(sink: S, place: Arc<Place>, queue: Arc<Queue<S::Row>>, config: WriterConfig) -> Self {
        let link = Link { place, busy_timeout: config.busy_timeout, day: None, opened: None };
        Self { sink, link, queue, config, unsure: None }
    }

    pub(super) fn run(mut self) {
        // Also when the thread panics: nobody may wait for it then.
        let _end = EndOnDrop(self.queue.clone());
        while let Some(mut batch) = self.queue.take(&self.config) {
            match self.write(&mut batch) {
                Ok(()) => self.succeeded(),
                Err(reason) => {
                    self.failed(batch, reason);
                    if self.queue.is_closing() {
                        return;
                    }
                }
            }
        }
    }

    /// Writes what the batch has left. An error is the environment's; the rest of the batch is as it was.
    fn write(&mut self, batch: &mut Batch<S::Row>) -> Result<(), String> {
        let rest = self.settle_unsure(batch)?..batch.rows.len();
        if rest.is_empty() { self.link.connection().map(drop) } else { self.settle(batch, rest) }
    }

    /// Asks what became of the transaction that nobody knows it of, or its rows would be written twice; how many rows of
    /// the batch it has written.
    fn settle_unsure(&mut self, batch: &mut Batch<S::Row>) -> Result<usize, String> {
        let Some(unsure) = self.unsure.take() else { return Ok(0) };
        let asked = self.link.connection().and_then(|conn| fate(conn, unsure.transaction));
        let is_kept = match asked.inspect_err(|_| self.link.opened = None) {
            Ok(Fate::Over { is_kept }) => is_kept,
            Ok(Fate::UnderWay) => {
                self.unsure = Some(unsure);
                return Err("the last transaction has not ended yet".to_owned());
            }
            Err(reason) => {
                self.unsure = Some(unsure);
                return Err(reason);
            }
        };
        if !is_kept {
            return Ok(0);
        }
        // The oldest may have made room for newer ones meanwhile.
        let gone = self.queue.metrics.dropped_backlog_full.get() - unsure.dropped;
        let count = unsure.rows.saturating_sub(usize::try_from(gone).unwrap_or(usize::MAX)).min(batch.rows.len());
        self.committed(&batch.rows[..count], unsure.receipt);
        batch.settle(0..count, &Ok(()));
        Ok(count)
    }

    /// Writes the rows of `range` and answers their callers. When the rows are at fault, both halves are tried on
    /// their own, down to the row that is.
    fn settle(&mut self, batch: &mut Batch<S::Row>, range: Range<usize>) -> Result<(), String> {
        match self.commit(&batch.rows[range.clone()]) {
            Ok(()) => batch.settle(range, &Ok(())),
            Err(Fault::Environment(reason)) => return Err(reason),
            Err(Fault::Rows(reason)) if range.len() == 1 => {
                tracing::warn!(reason, "the store rejected a row");
                self.queue.metrics.dropped_rejected.inc();
                batch.settle(range, &Err(WriteError::Rejected(reason)));
            }
            Err(Fault::Rows(_)) => {
                let middle = range.start + range.len() / 2;
                self.settle(batch, range.start..middle)?;
                self.settle(batch, middle..range.end)?;
            }
        }
        Ok(())
    }

    /// Makes the rows durable in one transaction.
    fn commit(&mut self, rows: &[S::Row]) -> Result<(), Fault> {
        let start = Instant::now();
        let receipt = self.transaction(rows).inspect_err(|_| {
            // Whatever went wrong, nothing is known of the connection's state: the next attempt makes a new one.
            self.link.opened = None;
        })?;
        self.queue.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        self.committed(rows, receipt);
        Ok(())
    }

    fn committed(&mut self, rows: &[S::Row], receipt: S::Receipt) {
        self.queue.metrics.rows_written.inc_by(rows.len() as u64);
        let tell_sink = AssertUnwindSafe(|| self.sink.committed(rows, receipt));
        if catch_unwind(tell_sink).is_err() {
            // The rows are safe, and the writer has more to do.
            tracing::error!("the sink of the store's writer panicked after a commit");
        }
    }

    fn transaction(&mut self, rows: &[S::Row]) -> Result<S::Receipt, Fault> {
        let place = self.link.place.clone();
        let conn = self.link.connection().map_err(Fault::Environment)?;
        let _turn = place.turn(self.config.busy_timeout);
        // What was done when the COMMIT was sent.
        let mut applied = None;
        // Rows of all organisations go in together.
        let transaction = || {
            in_transaction(conn, Access::Write, &Scope::Platform, |conn| {
                let receipt = self.sink.apply(conn, rows)?;
                applied = Some((current_transaction(conn)?, receipt));
                Ok::<_, DieselError>(())
            })
        };
        let fault = if place.is_remote() { Fault::of_postgres } else { Fault::of_sqlite };
        let outcome = match catch_unwind(AssertUnwindSafe(transaction)) {
            Ok(result) => result.map_err(|error| fault(&error)),
            Err(_) => Err(Fault::Rows("writing it panicked".to_owned())),
        };
        match (outcome, applied) {
            (Ok(()), Some((_, receipt))) => Ok(receipt),
            (Ok(()), None) => unreachable!("it was applied before it was committed"),
            (Err(fault @ Fault::Environment(_)), Some((Some(transaction), receipt))) => {
                let dropped = self.queue.metrics.dropped_backlog_full.get();
                self.unsure = Some(Unsure { transaction, rows: rows.len(), receipt, dropped });
                Err(fault)
            }
            (Err(fault), _) => Err(fault),
        }
    }

    fn succeeded(&self) {
        if let Some(since) = self.queue.settled() {
            tracing::info!(degraded.since = since, "the store can be written again");
        }
    }

    fn failed(&self, batch: Batch<S::Row>, reason: String) {
        if self.queue.give_back(batch, &reason) {
            let store = self.link.place.name();
            tracing::error!(reason, store, "the store cannot be written; keeping rows in memory");
        }
    }
}

/// The thread's own connection.
struct Link {
    place: Arc<Place>,
    busy_timeout: Duration,
    /// The day for which partitions were made last.
    day: Option<Date>,
    /// Absent before the first row, and after any trouble.
    opened: Option<Pooled>,
}

impl Link {
    /// A connection to what is now the database: a commit to a file that was deleted would be lost.
    fn connection(&mut self) -> Result<&mut AnyConnection, String> {
        let kept = self.opened.take().and_then(|mut opened| self.place.is_current(&mut opened).then_some(opened));
        let opened = match kept {
            Some(opened) => opened,
            None => self.place.connect(self.busy_timeout).map_err(|error| error.to_string())?,
        };
        let conn = &mut self.opened.insert(opened).conn;
        if let AnyConnection::Postgres(conn) = conn {
            // Rows find a place without them, too.
            let today = Timestamp::now().to_zoned(TimeZone::UTC).date();
            if self.day != Some(today) {
                partitions::make_ahead(conn, today).map_err(|error| error.to_string())?;
                self.day = Some(today);
            }
        }
        Ok(conn)
    }
}

/// What became of a transaction.
enum Fate {
    UnderWay,
    Over { is_kept: bool },
}

define_sql_function! {
    /// The id of the transaction that this is in.
    fn txid_current() -> BigInt;
}

define_sql_function! {
    /// What became of the transaction.
    fn txid_status(transaction: BigInt) -> Nullable<Text>;
}

/// The id by which PostgreSQL can be asked later what became of this transaction. SQLite's commits are answered where they
/// are made.
fn current_transaction(conn: &mut AnyConnection) -> QueryResult<Option<i64>> {
    match conn {
        AnyConnection::Postgres(conn) => diesel::select(txid_current()).get_result(conn).map(Some),
        AnyConnection::Sqlite(_) => Ok(None),
    }
}

fn fate(conn: &mut AnyConnection, transaction: i64) -> Result<Fate, String> {
    let AnyConnection::Postgres(conn) = conn else { return Ok(Fate::Over { is_kept: false }) };
    let status: Option<String> = match diesel::select(txid_status(transaction)).get_result(conn) {
        // Another server has taken over, and has never heard of it.
        Err(error) if error.to_string().contains("is in the future") => None,
        status => status.map_err(|error| error.to_string())?,
    };
    // One that is too old to be known has no status either; but so soon none is.
    Ok(match status.as_deref() {
        Some("in progress") => Fate::UnderWay,
        status => Fate::Over { is_kept: status == Some("committed") },
    })
}

struct EndOnDrop<R>(Arc<Queue<R>>);

impl<R> Drop for EndOnDrop<R> {
    fn drop(&mut self) {
        let lost = self.0.end();
        if lost > 0 {
            tracing::error!(rows = lost, "the store's writer ended with rows that are not written");
        }
    }
}
