//! Settles in the background what has ended, and again where Redis did not: what it refused comes last, so that it holds up
//! nothing else.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;
use tokio::sync::Notify;

use super::counters::Counters;
use crate::accounts::account::Amounts;
use crate::accounts::meters::Reservation;
use crate::redis::Failed;

/// Settlements that wait at most.
const CAPACITY: usize = 10_000;
/// How long Redis is left alone after it did not answer, or refused.
const PAUSE: Duration = Duration::from_millis(250);

/// How often to look whether Redis is there while there is nothing to settle.
const LOOK: Duration = Duration::from_secs(1);

/// A request that has ended.
#[derive(Debug)]
pub(super) struct Settlement {
    pub(super) reservation: Reservation,
    pub(super) spent: Amounts,
}

/// The way to the task that settles; it ends with this.
#[derive(Debug)]
pub(super) struct Settler {
    queue: Arc<Queue>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Queue {
    waiting: Mutex<Waiting>,
    filled: Notify,
    emptied: Notify,
    dropped: IntCounter,
}

#[derive(Debug, Default)]
struct Waiting {
    settlements: VecDeque<Settlement>,
    /// Redis is being told of one that is not among them.
    is_telling: bool,
}

impl Settler {
    pub(super) fn start(counters: Arc<Counters>, dropped: IntCounter) -> Self {
        let queue =
            Arc::new(Queue { waiting: Mutex::default(), filled: Notify::new(), emptied: Notify::new(), dropped });
        let task = tokio::spawn(run(counters, queue.clone()));
        Self { queue, task }
    }

    /// Leaves a settlement to be carried out.
    pub(super) fn push(&self, settlement: Settlement) {
        let mut waiting = self.queue.lock();
        waiting.settlements.push_back(settlement);
        if waiting.settlements.len() > CAPACITY {
            waiting.settlements.pop_front();
            self.queue.dropped.inc();
        }
        drop(waiting);
        self.queue.filled.notify_one();
    }

    /// Waits until nothing waits, at most this long.
    pub(super) async fn flush(&self, limit: Duration) {
        let emptied = async {
            loop {
                let emptied = self.queue.emptied.notified();
                tokio::pin!(emptied);
                // Registered before looking, so that no notification is missed in between.
                emptied.as_mut().enable();
                if self.queue.left() == 0 {
                    return;
                }
                emptied.await;
            }
        };
        if tokio::time::timeout(limit, emptied).await.is_err() {
            let left = self.queue.left();
            tracing::warn!(left, "settlements were not taken by Redis before the end; the ledger has them");
        }
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Queue {
    fn next(&self) -> Option<Settlement> {
        let mut waiting = self.lock();
        let next = waiting.settlements.pop_front();
        waiting.is_telling = next.is_some();
        next
    }

    fn give_back(&self, settlement: Settlement, failed: Failed) {
        let mut waiting = self.lock();
        match failed {
            Failed::Lost => waiting.settlements.push_front(settlement),
            Failed::Refused => waiting.settlements.push_back(settlement),
        }
        waiting.is_telling = false;
    }

    fn left(&self) -> usize {
        let waiting = self.lock();
        waiting.settlements.len() + usize::from(waiting.is_telling)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(counters: Arc<Counters>, queue: Arc<Queue>) {
    loop {
        if counters.redis.is_lost() {
            tokio::time::sleep(PAUSE).await;
            counters.redis.probe().await;
            continue;
        }
        let Some(settlement) = queue.next() else {
            queue.emptied.notify_waiters();
            // Redis may be gone without anybody asking.
            if tokio::time::timeout(LOOK, queue.filled.notified()).await.is_err() {
                counters.redis.probe().await;
            }
            continue;
        };
        if let Err(failed) = counters.settle(&settlement.reservation, settlement.spent).await {
            queue.give_back(settlement, failed);
            if failed == Failed::Refused {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
