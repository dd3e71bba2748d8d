//! Leaves a row in the trail when a caller goes away before its answer.

use super::{Accepted, Chat};

/// Dropped before [`Abandoned::done`], it says that the caller went away: what serves a request is dropped with its
/// connection.
#[derive(Debug)]
pub(super) struct Abandoned<'c> {
    chat: &'c Chat,
    asked: &'c Accepted,
    done: bool,
}

impl<'c> Abandoned<'c> {
    /// Watches over the answer to what was `asked`.
    pub(super) fn unless_done(chat: &'c Chat, asked: &'c Accepted) -> Self {
        Self { chat, asked, done: false }
    }

    /// The answer is there.
    pub(super) fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.chat.abandon(self.asked);
        }
    }
}
