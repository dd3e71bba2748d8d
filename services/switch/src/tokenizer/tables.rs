//! Makes the tables, and proves that they are what they should be.
//!
//! `UPDATE_TABLES=1 cargo test -p vx11-switch tokenizer::tables` writes them anew, after an update of tiktoken-rs or of
//! Unicode.

use std::path::Path;

use regex_syntax::hir::{Class, HirKind};
use tiktoken_rs::CoreBPE;

use super::kinds::Kind;
use super::vocabulary::{FREE, HEAD, LONGEST, RANK, place};
use super::{Vocabulary, kinds};

/// Places for every hundred tokens of a length: enough that few steps lead to each.
const PLACES_PERCENT: usize = 120;

/// A vocabulary as tiktoken-rs has it.
pub(super) fn real(vocabulary: Vocabulary) -> &'static CoreBPE {
    match vocabulary {
        Vocabulary::O200k => tiktoken_rs::o200k_base_singleton(),
        Vocabulary::Cl100k => tiktoken_rs::cl100k_base_singleton(),
    }
}

/// Every token and its rank.
fn tokens(vocabulary: Vocabulary) -> Vec<(Vec<u8>, u32)> {
    let (real, highest) = match vocabulary {
        Vocabulary::O200k => (real(vocabulary), 199_998),
        Vocabulary::Cl100k => (real(vocabulary), 100_256),
    };
    let token = |rank| real.decode_bytes(&[rank]).ok().map(|bytes| (bytes, rank));
    (0..highest).filter_map(token).collect()
}

fn table(tokens: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let (mut head, mut parts) = (Vec::new(), Vec::new());
    for length in 1..=LONGEST {
        let of_length = || tokens.iter().filter(|(token, _)| token.len() == length);
        let (places, width) = ((of_length().count() * PLACES_PERCENT).div_ceil(100), length + RANK);
        head.extend((places as u32).to_le_bytes());
        head.extend(((LONGEST * HEAD + parts.len()) as u32).to_le_bytes());
        let mut part = vec![0xff; places * width];
        for (token, rank) in of_length() {
            let from = place(token, places);
            let is_free = |at: &usize| part[at * width + length..][..RANK] == FREE.to_le_bytes()[..RANK];
            let free = (from..places).chain(0..from).find(is_free).expect("there are more places than tokens");
            part[free * width..][..length].copy_from_slice(token);
            part[free * width + length..][..RANK].copy_from_slice(&rank.to_le_bytes()[..RANK]);
        }
        parts.append(&mut part);
    }
    head.append(&mut parts);
    head
}

/// The kind of every character, by the categories that expressions are matched with.
fn real_kinds() -> Vec<Kind> {
    let mut kinds = vec![Kind::Other; char::MAX as usize + 1];
    for (category, kind) in [
        (r"[\p{Lu}\p{Lt}]", Kind::Upper),
        (r"\p{Ll}", Kind::Lower),
        (r"[\p{Lm}\p{Lo}]", Kind::Caseless),
        (r"\p{M}", Kind::Mark),
        (r"\p{N}", Kind::Number),
        (r"\s", Kind::Space),
        (r"[\r\n]", Kind::Newline),
    ] {
        let parsed = regex_syntax::parse(category).expect("a category");
        let HirKind::Class(Class::Unicode(class)) = parsed.kind() else { panic!("{category} is no class") };
        for range in class.ranges() {
            kinds[range.start() as usize..=range.end() as usize].fill(kind);
        }
    }
    kinds
}

fn kinds_table() -> Vec<u8> {
    let kinds = real_kinds();
    let is_first = |at: &usize| *at == 0 || kinds[*at] != kinds[at - 1];
    (0..kinds.len()).filter(is_first).flat_map(|at| ((at as u32) << 3 | kinds[at] as u32).to_le_bytes()).collect()
}

/// Holds what is `in_program` against what it `should_be`, which is written to its file if that is wished for.
fn check(name: &str, in_program: &[u8], should_be: &[u8]) {
    if std::env::var_os("UPDATE_TABLES").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tokenizer").join(name);
        return std::fs::write(path, should_be).expect("the table is written");
    }
    assert!(in_program == should_be, "{name} is not what it should be: make it anew with UPDATE_TABLES=1");
}

#[test]
fn the_tables_are_those_of_tiktoken() {
    for (vocabulary, name) in [(Vocabulary::O200k, "o200k.table"), (Vocabulary::Cl100k, "cl100k.table")] {
        check(name, vocabulary.table(), &table(&tokens(vocabulary)));
    }
    check("kinds.table", kinds::TABLE, &kinds_table());
}

#[test]
fn every_token_has_its_rank_and_every_character_its_kind() {
    for (vocabulary, count) in [(Vocabulary::O200k, 199_998), (Vocabulary::Cl100k, 100_256)] {
        let tokens = tokens(vocabulary);
        assert_eq!(tokens.len(), count);
        assert!(tokens.iter().all(|(token, rank)| vocabulary.rank(token) == Some(*rank)));
        assert!((0..=255).all(|byte| vocabulary.rank(&[byte]).is_some()));
        for none in [&b""[..], b"\xff\xff", &[b'x'; LONGEST], &[b'x'; LONGEST + 1]] {
            assert_eq!(vocabulary.rank(none), None);
        }
    }
    let kinds = real_kinds();
    assert!(('\0'..=char::MAX).all(|character| Kind::of(character) == kinds[character as usize]));
}
