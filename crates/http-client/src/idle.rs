//! Connections that wait for the next request.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connection::Connection;

/// How long one may wait. Peers that close idle connections mostly do so later.
const LONGEST: Duration = Duration::from_secs(60);
/// How many may wait.
const MOST: usize = 1024;

/// The connections of one client that wait.
#[derive(Default)]
pub(crate) struct Idle(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// With the moment since when; the one that has waited longest first.
    connections: VecDeque<(Instant, Box<Connection>)>,
    /// Whether somebody closes those that have waited too long.
    is_pruned: bool,
}

impl Idle {
    /// The one that was used last, so that those of a busy time come to their end after it. Whether the other side has
    /// closed it meanwhile shows when a request is handed to it, before any of that is sent.
    pub(crate) fn take(&self) -> Option<Box<Connection>> {
        // Closed, where it is too old, without the lock.
        let (since, connection) = self.0.lock().connections.pop_back()?;
        // Older ones are no better; they are closed in their turn.
        (since.elapsed() <= LONGEST).then_some(connection)
    }

    /// Keeps `connection` for the next request.
    pub(crate) fn put(self: &Arc<Self>, connection: Box<Connection>) {
        let mut waiting = self.0.lock();
        if waiting.connections.len() >= MOST {
            waiting.connections.pop_front();
        }
        waiting.connections.push_back((Instant::now(), connection));
        if !waiting.is_pruned {
            waiting.is_pruned = true;
            tokio::spawn(prune(Arc::downgrade(self)));
        }
    }

    /// Closes those that have waited too long. Whether any are left.
    fn close_old(&self) -> bool {
        let mut waiting = self.0.lock();
        while waiting.connections.front().is_some_and(|(since, _)| since.elapsed() > LONGEST) {
            waiting.connections.pop_front();
        }
        waiting.is_pruned = !waiting.connections.is_empty();
        waiting.is_pruned
    }
}

/// Closes what waits for too long, until nothing waits or the client is gone.
async fn prune(idle: Weak<Idle>) {
    loop {
        tokio::time::sleep(LONGEST).await;
        if !idle.upgrade().is_some_and(|idle| idle.close_old()) {
            return;
        }
    }
}
