//! Settles in the background what has ended, many at a time, and again where Redis did not: what it refused waits
//! apart, so that it holds up nothing else.

mod waiting;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use parking_lot::{Mutex, MutexGuard};
use prometheus::IntCounter;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::counters::Counters;
use crate::accounts::account::Amounts;
use crate::accounts::meters::Reservation;
use waiting::{PAUSE, Waiting};

/// How often to look whether Redis is there while there is nothing to settle.
const LOOK: Duration = Duration::from_secs(1);

/// A request that has ended.
#[derive(Clone, Debug)]
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
    folded: IntCounter,
}

impl Settler {
    pub(super) fn start(counters: Arc<Counters>, folded: IntCounter) -> Self {
        let queue =
            Arc::new(Queue { waiting: Mutex::default(), filled: Notify::new(), emptied: Notify::new(), folded });
        let task = tokio::spawn(run(counters, queue.clone()));
        Self { queue, task }
    }

    /// Leaves a settlement to be carried out.
    pub(super) fn push(&self, settlement: Settlement) {
        let was_folded = self.queue.lock().push(settlement);
        if was_folded {
            self.queue.folded.inc();
        }
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
                if self.queue.lock().len() == 0 {
                    return;
                }
                emptied.await;
            }
        };
        if tokio::time::timeout(limit, emptied).await.is_err() {
            let left = self.queue.lock().len();
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
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock()
    }
}

async fn run(counters: Arc<Counters>, queue: Arc<Queue>) {
    loop {
        if counters.redis.is_lost() {
            tokio::time::sleep(PAUSE).await;
            counters.redis.probe().await;
            continue;
        }
        let batch = queue.lock().take(Instant::now());
        if batch.is_empty() {
            rest(&counters, &queue).await;
            continue;
        }
        let telling = batch.iter().map(|settlement| counters.settle(&settlement.reservation, settlement.spent));
        let told = join_all(telling).await;
        queue.lock().told(batch.into_iter().zip(told), Instant::now());
    }
}

/// Waits until there may be something to settle.
async fn rest(counters: &Counters, queue: &Queue) {
    let is_empty = queue.lock().len() == 0;
    if is_empty {
        queue.emptied.notify_waiters();
    }
    let limit = if is_empty { LOOK } else { PAUSE };
    // Redis may be gone without anybody asking.
    if tokio::time::timeout(limit, queue.filled.notified()).await.is_err() {
        counters.redis.probe().await;
    }
}
