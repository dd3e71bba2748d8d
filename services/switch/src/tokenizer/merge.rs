//! Merges the bytes of a piece into tokens: again and again the pair that was learnt first, the leftmost of equals.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Vocabulary;

/// Bytes of a piece that are merged together. The rules allow pieces as long as the text, of one letter a million times;
/// what is longer is taken in parts, which may come to a token more each.
pub(super) const LONGEST: usize = 32 * 1024;
/// The rank of a pair that is no token.
const NONE: u32 = u32::MAX;

/// Room for the work, used again for the next piece.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// By the byte where each begins; those that were merged into another stay, and count no more.
    parts: Vec<Part>,
    /// Pairs that are tokens, by rank and place. Some are outdated.
    pairs: BinaryHeap<Reverse<(u32, u32)>>,
}

/// A part of a piece.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Where the part before it begins.
    previous: u32,
    end: u32,
    /// Of it and the next one together.
    rank: u32,
}

impl Merge {
    /// The tokens of `piece`.
    pub(super) fn tokens(&mut self, vocabulary: Vocabulary, piece: &[u8]) -> u64 {
        match vocabulary.rank(piece) {
            Some(_) => 1,
            None => piece.chunks(LONGEST).map(|part| self.merged(vocabulary, part)).sum(),
        }
    }

    /// In time that grows a little more than the piece does: each merge leaves at most two new pairs.
    fn merged(&mut self, vocabulary: Vocabulary, piece: &[u8]) -> u64 {
        self.pairs.clear();
        self.parts.clear();
        let bytes = 0..piece.len() as u32;
        self.parts.extend(bytes.map(|at| Part { previous: at.saturating_sub(1), end: at + 1, rank: NONE }));
        (0..piece.len()).for_each(|at| self.rate(vocabulary, piece, at));
        let mut tokens = piece.len() as u64;
        while let Some(Reverse((rank, at))) = self.pairs.pop() {
            let left = at as usize;
            if self.parts[left].rank != rank {
                continue;
            }
            let right = self.parts[left].end as usize;
            let Part { end, .. } = self.parts[right];
            self.parts[right].rank = NONE;
            self.parts[left].end = end;
            if let Some(next) = self.parts.get_mut(end as usize) {
                next.previous = at;
            }
            tokens -= 1;
            self.rate(vocabulary, piece, left);
            if left > 0 {
                self.rate(vocabulary, piece, self.parts[left].previous as usize);
            }
        }
        tokens
    }

    /// Finds the rank of the part at `at` and the next one together.
    fn rate(&mut self, vocabulary: Vocabulary, piece: &[u8], at: usize) {
        let next = self.parts.get(self.parts[at].end as usize);
        let rank = next.and_then(|next| vocabulary.rank(&piece[at..next.end as usize]));
        self.parts[at].rank = rank.unwrap_or(NONE);
        self.pairs.extend(rank.map(|rank| Reverse((rank, at as u32))));
    }
}
