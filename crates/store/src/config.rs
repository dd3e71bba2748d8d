//! The writer's settings. The defaults suit one machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The bounds of a [`Writer`](crate::Writer).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WriterConfig {
    /// Rows held in memory: waiting for their turn, or kept while the database cannot be written. Default 10 000.
    pub capacity: usize,
    /// Rows in one transaction at most. Default 512.
    pub max_batch: usize,
    /// How long more rows are waited for while several callers are waiting already. A transaction of many rows costs
    /// little more than one of few, because they share the pages that it writes and the sync. (PostgreSQL's
    /// `commit_delay`.) Default 4 ms.
    #[serde(with = "humantime_serde")]
    pub gather: Duration,
    /// How long rows that nobody waits for are kept for more of them to come. Default 20 ms.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Longest wait for another connection's lock; short, so that a locked database is noticed. Default 250 ms.
    #[serde(with = "humantime_serde")]
    pub busy_timeout: Duration,
    /// How often to try again while the database cannot be written. Default 500 ms.
    #[serde(with = "humantime_serde")]
    pub retry_every: Duration,
    /// Longest a caller waits to hear that its row is durable. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub ack_timeout: Duration,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            capacity: 10_000,
            max_batch: 512,
            gather: Duration::from_millis(4),
            linger: Duration::from_millis(20),
            busy_timeout: Duration::from_millis(250),
            retry_every: Duration::from_millis(500),
            ack_timeout: Duration::from_secs(2),
        }
    }
}
