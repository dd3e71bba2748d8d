//! The vocabularies, and which model has which.
//!
//! A table is a file of its own, made by a test from tiktoken-rs' (`tables.rs`): a head with two numbers for every
//! length of a token, how many places its part of the table has and where it begins, then these parts. A place holds
//! the bytes of a token and its rank in three bytes; a token is at the place that its hash names, or at the next one
//! that was free.

use xxhash_rust::xxh3::xxh3_64;

/// The bytes of the longest token.
pub(super) const LONGEST: usize = 128;
/// Bytes of the head for each length.
pub(super) const HEAD: usize = 8;
/// Bytes of a rank.
pub(super) const RANK: usize = 3;
/// The rank in a place that is free.
pub(super) const FREE: u32 = 0xff_ffff;

static O200K: &[u8] = include_bytes!("o200k.table");
static CL100K: &[u8] = include_bytes!("cl100k.table");

/// A public vocabulary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vocabulary {
    /// `o200k_base`: OpenAI's models since GPT-4o.
    O200k,
    /// `cl100k_base`: those before, and the embeddings.
    Cl100k,
}

/// What a model's name is, or begins with up to a `-` or `:`, or up to any end after a dot; the first that fits counts.
const MODELS: &[(&str, Vocabulary)] = &[
    ("gpt-4o", Vocabulary::O200k),
    ("chatgpt-4o", Vocabulary::O200k),
    ("gpt-4.1", Vocabulary::O200k),
    ("gpt-4.5", Vocabulary::O200k),
    ("gpt-5", Vocabulary::O200k),
    ("gpt-5.", Vocabulary::O200k),
    ("gpt-oss", Vocabulary::O200k),
    ("o1", Vocabulary::O200k),
    ("o3", Vocabulary::O200k),
    ("o4-mini", Vocabulary::O200k),
    ("codex-mini", Vocabulary::O200k),
    ("gpt-4", Vocabulary::Cl100k),
    ("gpt-3.5", Vocabulary::Cl100k),
    // As Azure writes it.
    ("gpt-35", Vocabulary::Cl100k),
    ("text-embedding-ada-002", Vocabulary::Cl100k),
    ("text-embedding-3", Vocabulary::Cl100k),
    ("davinci-002", Vocabulary::Cl100k),
    ("babbage-002", Vocabulary::Cl100k),
];

impl Vocabulary {
    /// The vocabulary of `model`, by its name or the part after its last slash, because aggregators write
    /// `vendor/model`. `None`: it is not known, or not public.
    pub(crate) fn of(model: &str) -> Option<Self> {
        let name = model.rsplit_once('/').map_or(model, |(_, name)| name);
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let is_of = |known: &str| {
            let rest = name.strip_prefix(known);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', ':']) || known.ends_with('.'))
        };
        MODELS.iter().find(|(known, _)| is_of(known)).map(|(_, vocabulary)| *vocabulary)
    }

    /// How early `token` was learnt. `None`: it is no token.
    pub(super) fn rank(self, token: &[u8]) -> Option<u32> {
        let table = self.table();
        let head = token.len().checked_sub(1).filter(|length| *length < LONGEST)? * HEAD;
        let (places, begin) = (number(table, head)?, number(table, head + HEAD / 2)?);
        let width = token.len() + RANK;
        let part = table.get(begin..)?.get(..places * width)?;
        let mut place = place(token, places);
        for _ in 0..places {
            let found = &part[place * width..][..width];
            let (bytes, rank) = found.split_at(token.len());
            let rank = u32::from_le_bytes([rank[0], rank[1], rank[2], 0]);
            if rank == FREE {
                return None;
            }
            if bytes == token {
                return Some(rank);
            }
            place = if place + 1 == places { 0 } else { place + 1 };
        }
        None
    }

    /// The table as it is in the program.
    pub(super) fn table(self) -> &'static [u8] {
        match self {
            Self::O200k => O200K,
            Self::Cl100k => CL100K,
        }
    }
}

/// Where `token` is looked for first, among so many `places`.
pub(super) fn place(token: &[u8], places: usize) -> usize {
    ((u128::from(xxh3_64(token)) * places as u128) >> 64) as usize
}

/// The number that the table has `at` a byte.
fn number(table: &[u8], at: usize) -> Option<usize> {
    let bytes = table.get(at..at + HEAD / 2)?;
    Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
}
