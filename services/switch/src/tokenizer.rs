//! How many tokens a text has, exactly, for models whose vocabulary is public: OpenAI's.
//!
//! A text is cut into pieces by the vocabulary's rules ([`pieces`]), and the bytes of a piece that is no token itself are
//! merged, the pair that was learnt first before all others ([`merge`]). The vocabularies and the kinds of characters
//! are tables in the program's file ([`vocabulary`], [`kinds`]): what is looked up is paged in, nothing is built from
//! them, and nothing is kept of them on the heap. Tests hold the counts equal to tiktoken-rs', whose own vocabulary
//! takes more memory than the whole gateway may use.
//!
//! It is asked only where a provider does not report: a count costs what a model's provider has done already.

mod kinds;
mod merge;
mod pieces;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod tests;
mod vocabulary;
mod wording;

pub(crate) use vocabulary::Vocabulary;
pub(crate) use wording::{answer_tokens, prompt_tokens};

use merge::Merge;
use pieces::Pieces;

/// Counts in one vocabulary.
#[derive(Debug)]
pub(crate) struct Counter {
    vocabulary: Vocabulary,
    merge: Merge,
}

impl Counter {
    /// Counts in `vocabulary`.
    pub(crate) fn new(vocabulary: Vocabulary) -> Self {
        Self { vocabulary, merge: Merge::default() }
    }

    /// The tokens of `text`, in which nothing has a special meaning.
    pub(crate) fn tokens(&mut self, text: &str) -> u64 {
        let pieces = Pieces::new(text, self.vocabulary);
        pieces.map(|piece| self.merge.tokens(self.vocabulary, piece.as_bytes())).sum()
    }
}
