//! The rows in memory: waiting for their turn, or kept while the database cannot be written.
//!
//! One queue under one short lock serves both, so that order is kept and no row falls between two states. The
//! thread takes everything in one go; callers wake it only when it sleeps.

use std::collections::VecDeque;
use std::ops::Range;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{Notify, oneshot};

use super::metrics::Metrics;
use crate::{WriteError, WriterConfig, WriterHealth, time};

/// What a caller hears of its row.
pub(super) type Answer = Result<(), WriteError>;

/// Where a caller waits to hear of its row.
type Waiter = oneshot::Sender<Answer>;

/// With this many callers waiting more are on their way, and are waited for; a caller that comes alone never waits.
/// (PostgreSQL's `commit_siblings`.)
const SIBLINGS: usize = 4;

pub(super) struct Queue<R> {
    state: Mutex<State<R>>,
    filled: Condvar,
    drained: Notify,
    capacity: usize,
    pub(super) metrics: Metrics,
}

struct State<R> {
    waiting: VecDeque<(R, Option<Waiter>)>,
    /// How many of them somebody waits for.
    awaited: usize,
    /// Rows that the thread has taken and neither settled nor given back.
    in_flight: usize,
    degraded: Option<Degraded>,
    phase: Phase,
    sleep: Sleep,
}

/// What the thread, which sleeps, is to be woken for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sleep {
    /// It does not sleep, or wakes by itself.
    No,
    UntilRow,
    /// It has rows already, and keeps them for others to come until somebody waits for one.
    UntilAwaited,
}

struct Degraded {
    since: String,
    reason: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// The last handle is gone: write what is there, then end.
    Closing,
    Ended,
}

/// Rows for one transaction, oldest first, and who waits for each.
pub(super) struct Batch<R> {
    pub(super) rows: Vec<R>,
    waiters: Vec<Option<Waiter>>,
    /// Rows that are written or rejected, from the front.
    settled: usize,
}

/// How many rows are where.
pub(super) struct Depth {
    /// In memory.
    pub(super) rows: usize,
    /// The database cannot be written.
    pub(super) degraded: bool,
}

impl<R> Queue<R> {
    pub(super) fn new(capacity: usize, metrics: Metrics) -> Self {
        let state = Mutex::new(State {
            waiting: VecDeque::new(),
            awaited: 0,
            in_flight: 0,
            degraded: None,
            phase: Phase::Open,
            sleep: Sleep::No,
        });
        Self { state, filled: Condvar::new(), drained: Notify::new(), capacity: capacity.max(1), metrics }
    }

    /// Adds a row and returns where to hear of it; while degraded the row is kept and nothing is to be heard.
    pub(super) fn push_and_wait(&self, row: R) -> Result<oneshot::Receiver<Answer>, WriteError> {
        let mut state = self.lock();
        if state.degraded.is_some() && state.phase == Phase::Open {
            self.keep(&mut state, row);
            return Err(WriteError::Deferred);
        }
        let (waiter, answer) = oneshot::channel();
        self.add(state, row, Some(waiter)).map(|()| answer)
    }

    /// Adds a row that nobody waits for.
    pub(super) fn push(&self, row: R) -> Result<(), WriteError> {
        let mut state = self.lock();
        if state.degraded.is_some() && state.phase == Phase::Open {
            self.keep(&mut state, row);
            return Ok(());
        }
        self.add(state, row, None)
    }

    fn add(&self, mut state: MutexGuard<'_, State<R>>, row: R, waiter: Option<Waiter>) -> Result<(), WriteError> {
        if state.phase != Phase::Open {
            return Err(WriteError::Stopped);
        }
        if state.len() >= self.capacity {
            self.metrics.dropped_queue_full.inc();
            return Err(WriteError::Overloaded);
        }
        let is_awaited = waiter.is_some();
        state.awaited += usize::from(is_awaited);
        state.waiting.push_back((row, waiter));
        if state.sleep == Sleep::UntilRow || (state.sleep == Sleep::UntilAwaited && is_awaited) {
            state.sleep = Sleep::No;
            drop(state);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// Adds a row while degraded.
    fn keep(&self, state: &mut State<R>, row: R) {
        state.waiting.push_back((row, None));
        self.drop_oldest(state);
    }

    /// The newest matter most: the oldest make room for them.
    fn drop_oldest(&self, state: &mut State<R>) {
        let excess = state.waiting.len().saturating_sub(self.capacity);
        state.waiting.drain(..excess);
        self.metrics.dropped_backlog_full.inc_by(excess as u64);
    }

    /// Waits for rows and takes up to `max_batch` of them. While degraded it waits for `retry_every` instead, and may
    /// then return none. `None` when the writer is to end.
    pub(super) fn take(&self, config: &WriterConfig) -> Option<Batch<R>> {
        let mut state = self.lock();
        if state.degraded.is_some() && state.phase == Phase::Open {
            let is_open = |state: &mut State<R>| state.phase == Phase::Open;
            self.filled.wait_while_for(&mut state, is_open, config.retry_every);
        } else {
            while state.waiting.is_empty() && state.phase == Phase::Open {
                state.sleep = Sleep::UntilRow;
                self.filled.wait(&mut state);
            }
            self.linger(&mut state, config);
        }
        if state.waiting.is_empty() && state.phase != Phase::Open {
            return None;
        }
        if state.awaited >= SIBLINGS && state.phase == Phase::Open {
            drop(state);
            std::thread::sleep(config.gather);
            state = self.lock();
        }
        let count = state.waiting.len().min(config.max_batch.max(1));
        state.in_flight = count;
        let (rows, waiters): (_, Vec<_>) = state.waiting.drain(..count).unzip();
        state.awaited -= waiters.iter().flatten().count();
        Some(Batch { rows, waiters, settled: 0 })
    }

    /// Waits for more rows, as long as nobody waits for one and they do not fill a transaction.
    fn linger(&self, state: &mut MutexGuard<'_, State<R>>, config: &WriterConfig) {
        state.sleep = Sleep::UntilAwaited;
        let may_wait = |state: &mut State<R>| {
            state.awaited == 0 && state.waiting.len() < config.max_batch && state.phase == Phase::Open
        };
        self.filled.wait_while_for(state, may_wait, config.linger);
        state.sleep = Sleep::No;
    }

    /// All rows of the batch are settled and the database can be written. Returns for how long it could not.
    pub(super) fn settled(&self) -> Option<String> {
        let mut state = self.lock();
        state.in_flight = 0;
        if state.waiting.is_empty() {
            self.drained.notify_waiters();
        }
        state.degraded.take().map(|degraded| degraded.since)
    }

    /// The database cannot be written: the unsettled rows of the batch go back to the front, and nobody waits any
    /// longer. `true` when this is news.
    pub(super) fn give_back(&self, batch: Batch<R>, reason: &str) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        state.in_flight = 0;
        let unsettled = batch.rows.into_iter().zip(batch.waiters).skip(batch.settled);
        for entry in unsettled.rev() {
            state.waiting.push_front(entry);
        }
        state.awaited = 0;
        for waiter in state.waiting.iter_mut().filter_map(|(_, waiter)| waiter.take()) {
            // A caller that has gone needs no answer.
            let _ = waiter.send(Err(WriteError::Deferred));
        }
        self.drop_oldest(state);
        let is_news = state.degraded.is_none();
        let since = state.degraded.take().map_or_else(time::now, |degraded| degraded.since);
        state.degraded = Some(Degraded { since, reason: reason.to_owned() });
        is_news
    }

    /// Waits until no row is in memory.
    pub(super) async fn drained(&self) {
        loop {
            // Registered before looking, so that no notification is missed in between.
            let drained = self.drained.notified();
            tokio::pin!(drained);
            drained.as_mut().enable();
            if self.len() == 0 {
                return;
            }
            drained.await;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn depth(&self) -> Depth {
        let state = self.lock();
        Depth { rows: state.len(), degraded: state.degraded.is_some() }
    }

    pub(super) fn health(&self) -> WriterHealth {
        let state = self.lock();
        match &state.degraded {
            _ if state.phase == Phase::Ended => WriterHealth::Stopped,
            None => WriterHealth::Ok,
            Some(Degraded { since, reason }) => {
                WriterHealth::Degraded { since: since.clone(), reason: reason.clone(), backlog_rows: state.len() }
            }
        }
    }

    /// Takes no more rows, and lets the thread end when it has tried to write those it has.
    pub(super) fn close(&self) {
        self.lock().phase = Phase::Closing;
        self.filled.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().phase == Phase::Closing
    }

    /// The thread has ended. Who waits is told; the rows that are left stay to be counted. Returns their number.
    pub(super) fn end(&self) -> usize {
        let mut state = self.lock();
        state.phase = Phase::Ended;
        for (_, waiter) in &mut state.waiting {
            // Dropping it tells its receiver.
            *waiter = None;
        }
        state.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock()
    }
}

impl<R> State<R> {
    fn len(&self) -> usize {
        self.waiting.len() + self.in_flight
    }
}

impl<R> Batch<R> {
    /// The rows of `range`, the next ones, are done with: answers whoever waits for them.
    pub(super) fn settle(&mut self, range: Range<usize>, answer: &Answer) {
        self.settled = range.end;
        for waiter in self.waiters[range].iter_mut().filter_map(Option::take) {
            // A caller that has gone needs no answer.
            let _ = waiter.send(answer.clone());
        }
    }
}
