//! What one request asks of the gateway, beside what it asks of a model.

use std::time::Duration;

use vx11_resilience::{Deadline, Priority};

/// A request's own limits and preferences; each can only narrow what the configuration allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wishes {
    /// When everything must be over, a stream and whoever finishes it included.
    pub(crate) whole: Option<Deadline>,
    /// When the answer must have begun, whoever gives it.
    pub(crate) begin: Option<Deadline>,
    /// How long a provider may take to the first token of a stream.
    pub(crate) first: Option<Duration>,
    /// How long a new connection to a provider may take.
    pub(crate) connect: Option<Duration>,
    /// How long a stream may be silent.
    pub(crate) idle: Option<Duration>,
    /// Whether it is a conversation at `/switch/chat`, for which providers have less time of their own.
    pub(crate) is_chat: bool,
    /// Whether anybody but the first choice may be asked.
    pub(crate) fallback: bool,
    /// Who goes first where a provider has as much work as it takes.
    pub(crate) priority: Priority,
    /// Whose turn it is counted as, there.
    pub(crate) tenant: u64,
}

impl Default for Wishes {
    fn default() -> Self {
        Self {
            whole: None,
            begin: None,
            first: None,
            connect: None,
            idle: None,
            is_chat: false,
            fallback: true,
            priority: Priority::Normal,
            tenant: 0,
        }
    }
}

impl Wishes {
    /// When nobody waits for the beginning of the answer any more.
    pub(crate) fn begins_by(&self) -> Option<Deadline> {
        self.whole.into_iter().chain(self.begin).min()
    }
}
