//! What the breakers of one target, one in each replica, say to each other.

use std::time::{Duration, Instant};

use super::Breaker;

/// What was found out about a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fails, and is left alone for this long.
    Open(Duration),
    /// A probe found it well again.
    Closed,
}

/// What one breaker found out by itself and the others do not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// What it is.
    pub verdict: Verdict,
    /// How long ago it was found out: of two words about one target, the later finding holds.
    pub age: Duration,
    /// Which of the breaker's states it is about.
    pub(super) generation: u64,
}

impl Breaker {
    /// What the others are to be told; until it is [`told`](Self::told), or is news no more.
    pub fn news(&self) -> Option<News> {
        self.lock().news(Instant::now())
    }

    /// The others were told `news`, as the word of this number.
    pub fn told(&self, news: News, word: u64) {
        self.lock().told(news, word);
    }

    /// Takes in a word of the others, once; the number tells one from another. It never pauses longer than its own
    /// `open_for`, and keeps to its own findings while it has news. `true` when this opened or closed it.
    pub fn hear(&self, word: u64, verdict: Verdict) -> bool {
        self.lock().hear(word, verdict, Instant::now())
    }
}
