//! The live event stream: one task reads new rows of the trail and hands each to the open streams of its organisation.
//! Streams of others hear nothing of it, not even that there was one.
//!
//! A stream that cannot keep up with the hub's bounded channel reads what it missed from the store, so that no stream
//! has a gap or a repeat and no buffer grows with a slow reader.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_stream::stream;
use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::broadcast::{Receiver, Sender, error::RecvError};
use vx11_chassis::auth::Standing;
use vx11_chassis::{Shutdown, sse};
use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;

use crate::bus::{Bus, Hint};
use crate::config::EventsConfig;
use crate::domain::event::frame;
use crate::metrics::StreamGuard;
use crate::store::Store;

/// Rows that the hub holds for streams that are behind.
const HELD: usize = 256;
/// Rows of one read.
const PAGE: u32 = 500;
/// How often rows are looked for that another process may have written and that were not told.
const POLL: Duration = Duration::from_secs(1);
/// Rows that are committed within this time are told to other replicas together.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Rows committed within this time are read together.
const GATHER: Duration = Duration::from_millis(20);

/// Hands new rows to streams. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EventHub {
    store: Store,
    open: Arc<Mutex<Channels>>,
    /// Another replica has written rows.
    woken: Arc<Notify>,
}

/// By organisation; there while somebody listens.
type Channels = HashMap<OrgId, Sender<Arc<Action>>>;

impl EventHub {
    /// A hub over `store`; [`EventHub::run`] brings it to life.
    pub(crate) fn new(store: Store) -> Self {
        Self { store, open: Arc::default(), woken: Arc::default() }
    }

    /// Reads new rows until `shutdown` begins.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut committed = self.store.newest_action.clone();
        let mut last = self.store.newest_action_id().await.unwrap_or(0);
        while !shutdown.has_begun() {
            let is_quiet = tokio::select! {
                () = shutdown.begun() => break,
                () = self.woken.notified() => false,
                committed = tokio::time::timeout(POLL, committed.changed()) => committed.is_err(),
            };
            tokio::time::sleep(GATHER).await;
            // Before it is known whether anybody listens: who comes after that reads from the store up to here.
            let mut newest = *committed.borrow_and_update();
            if is_quiet && !self.is_heard() {
                // Other replicas' rows would be read one by one by the first who listens.
                newest = self.store.newest_action_id().await.unwrap_or(newest);
            }
            if self.is_heard() {
                last = self.publish_after(last).await;
            } else {
                last = last.max(newest);
            }
        }
    }

    /// Looks for rows that another replica has written, if anybody listens.
    pub(crate) fn wake(&self) {
        if self.is_heard() {
            self.woken.notify_one();
        }
    }

    /// Tells other replicas of rows that are written here, a few times a second at most, until `shutdown` begins.
    pub(crate) async fn tell_others(self, bus: Bus, shutdown: Shutdown) {
        let mut committed = self.store.newest_action.clone();
        while !shutdown.has_begun() && committed.changed().await.is_ok() {
            bus.tell(|| Hint::Trail {});
            let _ = tokio::time::timeout(TELL_EVERY, shutdown.begun()).await;
        }
    }

    async fn publish_after(&self, mut last: i64) -> i64 {
        loop {
            let Ok(rows) = self.store.actions_of_all_after(last, PAGE).await else { return last };
            let more = rows.len() == PAGE as usize;
            last = rows.last().map_or(last, |row| row.id);
            let open = self.open.lock();
            for row in rows {
                if let Some(channel) = open.get(&row.org_id) {
                    // An error means that the last stream closed in the meantime.
                    let _ = channel.send(Arc::new(row));
                }
            }
            drop(open);
            if !more {
                return last;
            }
        }
    }

    /// Whether anybody listens. Channels that nobody listens to any more are closed.
    fn is_heard(&self) -> bool {
        let mut open = self.open.lock();
        open.retain(|_, channel| channel.receiver_count() > 0);
        !open.is_empty()
    }

    /// Hears of new rows of `org`.
    fn subscribe(&self, org: &OrgId) -> Receiver<Arc<Action>> {
        self.open.lock().entry(org.clone()).or_insert_with(|| Sender::new(HELD)).subscribe()
    }

    /// How many streams of `org` are open.
    pub(crate) fn streams_of(&self, org: &OrgId) -> usize {
        self.open.lock().get(org).map_or(0, Sender::receiver_count)
    }

    /// The last rows of `org`, oldest first.
    pub(crate) async fn backlog(&self, org: &OrgId, limit: u32) -> Result<Vec<Action>, vx11_store::StoreError> {
        let mut rows = self.store.of(org).list_actions(vx11_store::trail::ActionQuery::default(), limit).await?;
        rows.reverse();
        Ok(rows)
    }

    /// Frames of every row of `org` after `after`, or of those from now on, until the stream is too old, the service
    /// stops, or whoever opened it may not come in any more.
    pub(crate) fn follow(
        &self,
        org: &OrgId,
        after: Option<i64>,
        config: EventsConfig,
        shutdown: Shutdown,
        (guard, mut standing): (StreamGuard, Option<Standing>),
    ) -> impl Stream<Item = Bytes> + use<> {
        let (hub, own) = (self.clone(), self.store.of(org));
        // Subscribed before the first read, so that nothing falls between the two.
        let mut live = self.subscribe(org);
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
                    let rows = match own.actions_after(last, PAGE).await {
                        Ok(rows) => rows,
                        // The client resumes from its last id when the store answers again.
                        Err(_) => return,
                    };
                    behind = rows.len() == PAGE as usize;
                    if !rows.is_empty() && is_over(&mut standing).await {
                        return;
                    }
                    for row in rows {
                        last = row.id;
                        yield event(&row);
                    }
                }
                let heartbeat = tokio::time::Instant::now() + config.heartbeat;
                tokio::select! {
                    () = shutdown.begun() => return,
                    () = tokio::time::sleep_until(end) => return,
                    () = tokio::time::sleep_until(heartbeat) => {
                        if is_over(&mut standing).await {
                            return;
                        }
                        yield sse::HEARTBEAT;
                    }
                    row = live.recv() => match row {
                        Ok(row) if row.id > last => {
                            if is_over(&mut standing).await {
                                return;
                            }
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

/// Whether a stream ends because who opened it may not come in any more. While that cannot be told it ends too: who may
/// comes again, and resumes.
async fn is_over(standing: &mut Option<Standing>) -> bool {
    match standing {
        Some(standing) => standing.ask_before_sending().await.is_err(),
        None => false,
    }
}

/// The frame of one row.
pub(crate) fn event(row: &Action) -> Bytes {
    let (name, data) = frame(row);
    sse::event(Some(row.id), Some(name), &data)
}
