//! Watches a stream go by: is each chunk well formed, has every choice finished, what was spent.

mod alike;
mod choices;
mod said;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::delivered::Delivered;
use super::reported::{Reported, ReportedUsage};
use super::written::Written;
use crate::accounts::{Tier, Tokens};

use alike::Alike;
use choices::Choices;
pub(crate) use choices::Piece;

/// The payload that ends a stream.
const DONE: &[u8] = b"[DONE]";

/// What one event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A chunk of the answer; `token` where it carries text, reasoning or a part of a tool call.
    Chunk {
        /// Whether something was said in it.
        token: bool,
    },
    /// The provider reports an error of its own.
    Error,
    /// The provider gives the answer up, in the words of an end.
    GivenUp,
    /// The mark at the end.
    Done,
    /// A comment, or an event without data.
    Nothing,
}

/// The event is no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

/// What is known of a stream so far.
#[derive(Clone, Debug)]
pub(crate) struct StreamWatch {
    expected: u32,
    /// One bit for each choice that was begun, and for each that was finished.
    begun: u128,
    finished: u128,
    tokens: u64,
    has_spoken: bool,
    usage: Option<Reported>,
    /// As far as it was said.
    tier: Option<Tier>,
    /// What was written, where that is kept.
    written: Option<Box<Written>>,
    alike: Alike,
}

impl StreamWatch {
    /// Watches a stream of `expected` choices.
    pub(crate) fn new(expected: u32) -> Self {
        Self {
            expected,
            begun: 0,
            finished: 0,
            tokens: 0,
            has_spoken: false,
            usage: None,
            tier: None,
            written: None,
            alike: Alike::default(),
        }
    }

    /// Takes in the payload of the next event. What it says of the answer is added to `delivered`, where that is kept.
    pub(crate) fn observe(&mut self, data: &[u8], delivered: Option<&mut Delivered>) -> Result<Seen, BadChunk> {
        let data = data.trim_ascii();
        match data.first() {
            None => return Ok(Seen::Nothing),
            // serde would take an array for a struct.
            Some(b'{') => {}
            Some(_) if data == DONE => return Ok(Seen::Done),
            Some(_) => return Err(BadChunk),
        }
        // serde would skip what is not looked at, whatever its bytes; readers of the chunk would stumble over them.
        let text = std::str::from_utf8(data).map_err(|_| BadChunk)?;
        if let Some(choices) = self.alike.read(text) {
            return Ok(self.take_in(text, &choices, delivered));
        }
        let Chunk { choices, usage, service_tier, error } = serde_json::from_str(text).map_err(|_| BadChunk)?;
        if error.is_some() {
            return Ok(Seen::Error);
        }
        if choices.given_up {
            return Ok(Seen::GivenUp);
        }
        self.tier = service_tier.or(self.tier);
        match usage {
            Some(usage) => {
                let reported = usage.reported().map(|reported| reported.served(self.tier));
                self.usage = reported.or(self.usage);
            }
            // Of several choices each has a form of its own.
            None if self.expected <= 1 => self.alike.learn(text, &choices),
            None => {}
        }
        Ok(self.take_in(text, &choices, delivered))
    }

    fn take_in(&mut self, text: &str, choices: &Choices<'_>, delivered: Option<&mut Delivered>) -> Seen {
        if let Some(delivered) = delivered {
            delivered.add(text.as_bytes(), choices.pieces());
        }
        if let Some(written) = &mut self.written {
            written.add(text, choices.pieces());
        }
        self.begun |= choices.begun;
        self.finished |= choices.finished;
        self.tokens += choices.tokens;
        self.has_spoken |= choices.says;
        Seen::Chunk { token: choices.tokens > 0 }
    }

    /// From now on what is written is kept, so that its tokens can be counted.
    pub(crate) fn keep_written(&mut self) {
        self.written.get_or_insert_default();
    }

    /// Whether it is.
    pub(crate) fn keeps_written(&self) -> bool {
        self.written.is_some()
    }

    /// What was written, where that was kept; to be asked for once.
    pub(crate) fn take_written(&mut self) -> Option<Box<Written>> {
        self.written.take()
    }

    /// Whether every choice has said why it ended, so that nothing of the answer is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished == self.begun && self.finished.count_ones() >= self.expected.clamp(1, u128::BITS)
    }

    /// Whether a choice was begun that has not said why it ended.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.begun & !self.finished != 0
    }

    /// Whether anything of the answer was said, if only that it has ended: what opens an answer says nothing of it.
    pub(crate) fn has_spoken(&self) -> bool {
        self.has_spoken
    }

    /// What the provider says was spent.
    pub(crate) fn usage(&self) -> Option<Reported> {
        self.usage
    }

    /// What the provider says was spent, as it is paid for.
    pub(crate) fn tokens(&self) -> Option<Tokens> {
        self.usage.map(|reported| reported.tokens)
    }

    /// Tokens written so far: as reported, else an estimate of each delta, which most providers make of one token.
    pub(crate) fn tokens_written(&self) -> u64 {
        self.usage.map_or(self.tokens, |reported| reported.tokens.completion)
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Choices<'a>,
    usage: Option<ReportedUsage>,
    service_tier: Option<Tier>,
    error: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests;
