//! The live event stream: one task reads new rows of the trail and hands them to every open stream.
//!
//! A stream that cannot keep up with the hub's bounded channel reads what it missed from the store, so that no stream
//! has a gap or a repeat and no buffer grows with a slow reader.

use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::broadcast::{self, error::RecvError};
use vx11_chassis::{Shutdown, sse};
use vx11_contracts::event::Action;

use crate::config::EventsConfig;
use crate::domain::event::frame;
use crate::metrics::StreamGuard;
use crate::store::Store;

/// Rows that the hub holds for streams that are behind.
const HELD: usize = 256;
/// Rows of one read.
const PAGE: u32 = 500;
/// How often rows are looked for that another process may have written.
const POLL: Duration = Duration::from_secs(1);
/// Rows committed within this time are read together.
const GATHER: Duration = Duration::from_millis(20);

/// Hands new rows to streams. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EventHub {
    store: Store,
    rows: broadcast::Sender<Arc<Action>>,
}

impl EventHub {
    /// A hub over `store`; [`EventHub::run`] brings it to life.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, rows: broadcast::Sender::new(HELD) }
    }

    /// Reads new rows until `shutdown` begins.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut committed = self.store.newest_action.clone();
        let mut last = self.store.newest_action_id().await.unwrap_or(0);
        while !shutdown.has_begun() {
            tokio::select! {
                () = shutdown.begun() => break,
                _ = tokio::time::timeout(POLL, committed.changed()) => {}
            }
            tokio::time::sleep(GATHER).await;
            // Before it is known whether anybody listens: who comes after that reads from the store up to here.
            let newest = *committed.borrow_and_update();
            if self.rows.receiver_count() > 0 {
                last = self.publish_after(last).await;
            } else {
                last = last.max(newest);
            }
        }
    }

    async fn publish_after(&self, mut last: i64) -> i64 {
        loop {
            let Ok(rows) = self.store.actions_after(last, PAGE).await else { return last };
            let more = rows.len() == PAGE as usize;
            for row in rows {
                last = row.id;
                // An error means that the last stream closed in the meantime.
                let _ = self.rows.send(Arc::new(row));
            }
            if !more {
                return last;
            }
        }
    }

    /// The last rows, oldest first.
    pub(crate) async fn backlog(&self, limit: u32) -> Result<Vec<Action>, vx11_store::StoreError> {
        let mut rows = self.store.list_actions(vx11_store::trail::ActionQuery::default(), limit).await?;
        rows.reverse();
        Ok(rows)
    }

    /// Frames of every row after `after`, or of the rows from now on, until the stream is too old or the service stops.
    pub(crate) fn follow(
        &self,
        after: Option<i64>,
        config: EventsConfig,
        shutdown: Shutdown,
        guard: StreamGuard,
    ) -> impl Stream<Item = Bytes> + use<> {
        let hub = self.clone();
        // Subscribed before the first read, so that nothing falls between the two.
        let mut live = self.rows.subscribe();
        stream! {
            let _open = guard;
            let end = tokio::time::Instant::now() + config.max_age;
            let mut last = match after {
                Some(id) => id,
                None => match hub.store.newest_action_id().await {
                    Ok(id) => id,
                    // The client comes again when the store answers again.
                    Err(_) => return,
                },
            };
            // Says to the client, and to every proxy between, that the stream is open.
            yield Bytes::from_static(b": open\n\n");
            let mut behind = true;
            loop {
                while behind {
                    let rows = match hub.store.actions_after(last, PAGE).await {
                        Ok(rows) => rows,
                        // The client resumes from its last id when the store answers again.
                        Err(_) => return,
                    };
                    behind = rows.len() == PAGE as usize;
                    for row in rows {
                        last = row.id;
                        yield event(&row);
                    }
                }
                let heartbeat = tokio::time::Instant::now() + config.heartbeat;
                tokio::select! {
                    () = shutdown.begun() => return,
                    () = tokio::time::sleep_until(end) => return,
                    () = tokio::time::sleep_until(heartbeat) => yield sse::HEARTBEAT,
                    row = live.recv() => match row {
                        Ok(row) if row.id > last => {
                            last = row.id;
                            yield event(&row);
                        }
                        Ok(_) => {}
                        Err(RecvError::Lagged(_)) => behind = true,
                        Err(RecvError::Closed) => return,
                    },
                }
            }
        }
    }
}

/// The frame of one row.
pub(crate) fn event(row: &Action) -> Bytes {
    let (name, data) = frame(row);
    sse::event(Some(row.id), Some(name), &data)
}
