//! Cuts a text where a vocabulary cuts it, before any bytes are merged.
//!
//! The rules are regular expressions where they come from:
//!
//! - o200k: `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
//!   `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?`,
//!   `\p{N}{1,3}`, ` ?[^\s\p{L}\p{N}]+[\r\n/]*`, `\s*[\r\n]+`, `\s+(?!\S)`, `\s+`
//! - cl100k: `'(?i:[sdmt]|ll|ve|re)`, `[^\r\n\p{L}\p{N}]?\p{L}+`, `\p{N}{1,3}`, ` ?[^\s\p{L}\p{N}]+[\r\n]*`, `\s+$`,
//!   `\s*[\r\n]`, `\s+(?!\S)`, `\s`
//!
//! At each place the first that fits counts, as far as it goes. An engine for these would take more memory than the
//! vocabulary; here each is a function of where it would end.

use super::Vocabulary;
use super::kinds::Kind;

/// The pieces of a text, which together are all of it.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    rest: &'a str,
    vocabulary: Vocabulary,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(text: &'a str, vocabulary: Vocabulary) -> Self {
        Self { rest: text, vocabulary }
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.rest.chars().next()?;
        let end = match self.vocabulary {
            Vocabulary::O200k => o200k(self.rest, first),
            Vocabulary::Cl100k => cl100k(self.rest, first),
        };
        let (piece, rest) = self.rest.split_at(end.max(first.len_utf8()));
        self.rest = rest;
        Some(piece)
    }
}

/// Where the first piece of `text` ends, which begins with the character `first`.
fn o200k(text: &str, first: char) -> usize {
    let kind = Kind::of(first);
    // With what leads the word, and without it.
    let starts = [kind.may_lead().then_some(first.len_utf8()), Some(0)];
    let starts = || starts.iter().flatten();
    let word = starts().find_map(|start| small_word(text, *start));
    let word = word.or_else(|| starts().find_map(|start| capital_word(text, *start)));
    word.map(|end| end + contraction(&text[end..]))
        .or_else(|| number(text))
        .or_else(|| symbols(text, first, |character| matches!(character, '\r' | '\n' | '/')))
        .unwrap_or_else(|| white(text, false))
}

fn cl100k(text: &str, first: char) -> usize {
    let kind = Kind::of(first);
    let start = if kind.may_lead() { first.len_utf8() } else { 0 };
    let contracted = Some(contraction(text)).filter(|end| *end > 0);
    contracted
        .or_else(|| some_run(text, start, Kind::is_letter))
        .or_else(|| number(text))
        .or_else(|| symbols(text, first, |character| matches!(character, '\r' | '\n')))
        .unwrap_or_else(|| white(text, true))
}

/// Capitals, if any, and at least one small letter; letters without case are either.
fn small_word(text: &str, start: usize) -> Option<usize> {
    let mut capitals = start;
    let mut last_of_either = None;
    for character in text[start..].chars() {
        let kind = Kind::of(character);
        if !kind.may_be_upper() {
            break;
        }
        capitals += character.len_utf8();
        if kind.may_be_lower() {
            last_of_either = Some(capitals);
        }
    }
    some_run(text, capitals, Kind::may_be_lower).or(last_of_either)
}

/// At least one capital, and small letters, if any.
fn capital_word(text: &str, start: usize) -> Option<usize> {
    let capitals = some_run(text, start, Kind::may_be_upper)?;
    Some(run(text, capitals, Kind::may_be_lower))
}

/// How long the `'s`, `'ll` or the like is that `text` begins with.
fn contraction(text: &str) -> usize {
    let mut characters = text.chars();
    if characters.next() != Some('\'') {
        return 0;
    }
    let lower = |character: Option<char>| character.map(|character| character.to_ascii_lowercase());
    match (lower(characters.next()), lower(characters.next())) {
        (Some('s' | 't' | 'm' | 'd'), _) => 2,
        // The long form of an s, which is one where case does not count.
        (Some('ſ'), _) => 1 + 'ſ'.len_utf8(),
        (Some('r' | 'v'), Some('e')) | (Some('l'), Some('l')) => 3,
        _ => 0,
    }
}

/// Up to three digits.
fn number(text: &str) -> Option<usize> {
    let digits = text.chars().take(3).take_while(|character| Kind::of(*character) == Kind::Number);
    Some(digits.map(char::len_utf8).sum()).filter(|end| *end > 0)
}

/// Symbols with the blank before them, and what of `trailing` follows.
fn symbols(text: &str, first: char, trailing: impl Fn(char) -> bool) -> Option<usize> {
    let end = some_run(text, usize::from(first == ' '), Kind::is_symbol)?;
    let after = &text[end..];
    Some(text.len() - after.trim_start_matches(trailing).len())
}

/// White space: all that there is up to its last line's end, else up to the blank that goes with the next word. At the
/// end of the text, all of it if that `comes_first`.
fn white(text: &str, end_comes_first: bool) -> usize {
    let end = run(text, 0, Kind::is_white);
    let white = &text[..end];
    let is_last = end == text.len();
    if is_last && end_comes_first {
        return end;
    }
    if let Some(newline) = white.rfind(['\r', '\n']) {
        return newline + 1;
    }
    let last = white.chars().next_back().map_or(0, char::len_utf8);
    if is_last || last == end { end } else { end - last }
}

/// Where the characters from `start` on end that `belong`.
fn run(text: &str, start: usize, belong: impl Fn(Kind) -> bool) -> usize {
    let rest = &text[start..];
    rest.find(|character| !belong(Kind::of(character))).map_or(text.len(), |length| start + length)
}

/// As [`run`], where there is at least one.
fn some_run(text: &str, start: usize, belong: impl Fn(Kind) -> bool) -> Option<usize> {
    Some(run(text, start, belong)).filter(|end| *end > start)
}
