//! Leaves the rows of a chat when its caller goes away before the answer.

use std::time::Instant;

use super::{Accepted, Chat};

/// Dropped before [`Abandoned::done`], it says that the caller went away: what serves a request is dropped with its
/// connection.
#[derive(Debug)]
pub(super) struct Abandoned<'c> {
    chat: &'c Chat,
    asked: &'c Accepted,
    started: Instant,
    done: bool,
}

impl<'c> Abandoned<'c> {
    /// Watches over the answer to what was `asked`, at `started`.
    pub(super) fn unless_done(chat: &'c Chat, asked: &'c Accepted, started: Instant) -> Self {
        Self { chat, asked, started, done: false }
    }

    /// The answer is there.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.chat.abandon(self.asked, self.started);
        }
    }
}
