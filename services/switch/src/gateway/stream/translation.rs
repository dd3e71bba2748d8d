//! From a provider's events to the chunks by which they are watched.

use crate::gateway::exchange;
use crate::wire::{StreamTranslator, Wire};

/// Most bytes that are held back until an answer begins. A response's first events repeat instructions and tools, twice.
const MOST_HELD_BYTES: usize = 64 * 1024;
const MOST_HELD_OF_A_RESPONSE: usize = 1024 * 1024;

/// How the events of a stream become chunks, and which of the two are handed on.
#[derive(Debug)]
pub(in crate::gateway) struct Translation {
    pub(super) from: Wire,
    /// `None`: they are chunks.
    pub(super) translator: Option<StreamTranslator>,
    /// The events are handed on as they came; the chunks are only watched.
    pub(super) is_native: bool,
}

impl Translation {
    /// Of a stream in the wire `from`, for a reader of the wire `to` or of the pivot.
    pub(in crate::gateway) fn new(from: Wire, to: Wire) -> Self {
        let translator = StreamTranslator::new(from, exchange::unix_seconds());
        Self { from, is_native: translator.is_some() && from == to, translator }
    }

    /// Bytes that are held back at most.
    pub(super) fn most_held(&self) -> usize {
        if self.from == Wire::Responses { MOST_HELD_OF_A_RESPONSE } else { MOST_HELD_BYTES }
    }
}
