//! Connections that wait for the next request.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::connection::Connection;

/// How long one may wait. Peers that close idle connections mostly do so later.
const LONGEST: Duration = Duration::from_secs(60);
/// How many may wait.
const MOST: usize = 1024;

/// The connections of one client that wait, the one that has waited longest first.
#[derive(Default)]
pub(crate) struct Idle(Mutex<VecDeque<(Instant, Box<Connection>)>>);

impl Idle {
    /// The one that was used last, so that those of a busy time come to their end after it.
    pub(crate) fn take(&self) -> Option<Box<Connection>> {
        let mut waiting = self.0.lock();
        while let Some((since, mut connection)) = waiting.pop_back() {
            if since.elapsed() > LONGEST {
                waiting.clear();
                return None;
            }
            if connection.is_open() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps `connection` for the next request.
    pub(crate) fn put(&self, connection: Box<Connection>) {
        let now = Instant::now();
        let mut waiting = self.0.lock();
        let is_old = |since: &Instant| now.saturating_duration_since(*since) > LONGEST;
        while waiting.len() >= MOST || waiting.front().is_some_and(|(since, _)| is_old(since)) {
            waiting.pop_front();
        }
        waiting.push_back((now, connection));
    }
}
