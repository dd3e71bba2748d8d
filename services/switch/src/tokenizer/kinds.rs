//! The kinds of characters that the cutting rules tell apart.
//!
//! Unicode's categories are a table in a file of its own, made by a test from those that the expressions of tiktoken-rs
//! are matched with (`tables.rs`): for each run of characters of one kind the first of them, and the kind in the
//! three lowest bits.

pub(super) static TABLE: &[u8] = include_bytes!("kinds.table");

/// Bytes of a run.
const RUN: usize = 4;

/// A kind of character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Punctuation, symbols, and whatever is nothing else.
    Other,
    /// A capital letter, or one in a title's form.
    Upper,
    /// A small letter.
    Lower,
    /// A letter of a script that knows neither.
    Caseless,
    /// What is written above, below or around a letter.
    Mark,
    /// A digit or another number.
    Number,
    /// White space that ends no line.
    Space,
    /// The end of a line.
    Newline,
}

impl Kind {
    pub(super) fn of(character: char) -> Self {
        match character {
            'a'..='z' => Self::Lower,
            'A'..='Z' => Self::Upper,
            '0'..='9' => Self::Number,
            '\n' | '\r' => Self::Newline,
            ' ' | '\t' | '\u{b}' | '\u{c}' => Self::Space,
            '\0'..='\u{7f}' => Self::Other,
            _ => find(character as u32),
        }
    }

    pub(super) fn is_letter(self) -> bool {
        matches!(self, Self::Upper | Self::Lower | Self::Caseless)
    }

    /// Whether a word may begin with one, or go on with one in capitals.
    pub(super) fn may_be_upper(self) -> bool {
        matches!(self, Self::Upper | Self::Caseless | Self::Mark)
    }

    /// Whether a word may go on with one in small letters.
    pub(super) fn may_be_lower(self) -> bool {
        matches!(self, Self::Lower | Self::Caseless | Self::Mark)
    }

    pub(super) fn is_white(self) -> bool {
        matches!(self, Self::Space | Self::Newline)
    }

    /// Neither white nor a letter or number.
    pub(super) fn is_symbol(self) -> bool {
        matches!(self, Self::Other | Self::Mark)
    }

    /// Whether one such character goes with the word after it.
    pub(super) fn may_lead(self) -> bool {
        matches!(self, Self::Other | Self::Mark | Self::Space)
    }

    const fn of_number(number: u32) -> Self {
        match number {
            1 => Self::Upper,
            2 => Self::Lower,
            3 => Self::Caseless,
            4 => Self::Mark,
            5 => Self::Number,
            6 => Self::Space,
            7 => Self::Newline,
            _ => Self::Other,
        }
    }
}

/// The kind of the last run that does not begin after `character`.
fn find(character: u32) -> Kind {
    let runs = TABLE.as_chunks::<RUN>().0;
    let after = runs.partition_point(|run| u32::from_le_bytes(*run) >> 3 <= character);
    let run = after.checked_sub(1).and_then(|last| runs.get(last));
    run.map_or(Kind::Other, |run| Kind::of_number(u32::from_le_bytes(*run) & 7))
}
