//! Most chunks of a stream differ from the one before in their text alone. Such a one is read by comparing the rest of
//! it, which takes a tenth of what reading it as JSON does.

use super::choices::{Choices, Piece};
use crate::accounts::estimate_tokens;
use crate::domain::edit::span_of;

/// How often the form of a stream's chunks is learnt. Where it changes all the time, as with a padding of random length,
/// that is in vain.
const MOST_LEARNT: u32 = 4;

/// The form of the chunks of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Alike {
    form: Option<Form>,
    learnt: u32,
}

/// A chunk with one choice that says a text, and nothing else that changes.
#[derive(Clone, Debug)]
struct Form {
    /// Up to the text, with its first quote.
    before: Box<str>,
    /// From its last quote on.
    after: Box<str>,
    /// The choice's.
    index: u32,
}

impl Alike {
    /// What `chunk` says, where it has the form of one that was read before. Whatever stands in its text then leaves the
    /// rest as it was; with an escape in it, it is not looked at.
    pub(super) fn read<'c>(&self, chunk: &'c str) -> Option<Choices<'c>> {
        let Form { before, after, index } = self.form.as_ref()?;
        let text = chunk.strip_prefix(&**before)?.strip_suffix(&**after)?;
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if !text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
            return None;
        }
        let content = chunk.get(before.len() - 1..before.len() + text.len() + 1)?;
        let tokens = estimate_tokens(text);
        Some(Choices::of(Piece { index: *index, content: Some(content), tokens, ..Piece::default() }))
    }

    /// Learns the form of `chunk`, in which these `choices` were read, and no usage.
    pub(super) fn learn(&mut self, chunk: &str, choices: &Choices<'_>) {
        let Some(piece) = choices.only().filter(|_| self.learnt < MOST_LEARNT) else { return };
        let Some(content) = piece.content else { return };
        let tokens = estimate_tokens(&content[1..content.len() - 1]);
        // Whatever else it said would be missed in the next one.
        if *piece != (Piece { index: piece.index, content: Some(content), tokens, ..Piece::default() }) {
            return;
        }
        let span = span_of(chunk, content);
        let (before, after) = (chunk[..=span.start].into(), chunk[span.end - 1..].into());
        self.form = Some(Form { before, after, index: piece.index });
        self.learnt += 1;
    }
}
