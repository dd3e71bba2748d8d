//! An answer that goes on from a partial text, joined to it: what the model repeats of the text is not sent twice.
//!
//! Some providers give the text they were to go on from back first, and models that were told to go on like to begin with
//! their last words. Only a repetition of [`SHORTEST`] units or more counts: a shorter one may well belong to the answer.

/// The shortest repetition that is taken for one, in UTF-16 code units.
pub(crate) const SHORTEST: usize = 16;
/// How far back a repetition may begin, unless it is of the whole text.
const WINDOW: usize = 1024;

/// What was delivered, and where in it a repetition may have begun.
#[derive(Clone, Debug)]
pub(crate) struct Overlap {
    delivered: Vec<u16>,
    /// White space at the end of the text that the model was not shown.
    unseen: usize,
    /// Places in `delivered` from which everything is the same as `held`.
    starts: Vec<usize>,
    /// What came and may yet turn out to be a repetition.
    held: Vec<u16>,
    /// How much of `held` is one, as far as is known.
    repeated: usize,
}

impl Overlap {
    /// For a model that was given the text, less `unseen` units of white space at its end, to go on from: it repeats all
    /// of it, or none.
    pub(crate) fn of_prefill(delivered: Vec<u16>, unseen: usize) -> Self {
        let starts = if delivered.len() >= SHORTEST { vec![0] } else { Vec::new() };
        Self { delivered, unseen, starts, held: Vec::new(), repeated: 0 }
    }

    /// For a model that was asked to go on: it may begin anew, or with the last words.
    pub(crate) fn of_instruction(delivered: Vec<u16>) -> Self {
        let starts = match delivered.len().checked_sub(SHORTEST) {
            Some(last) => {
                let first = delivered.len().saturating_sub(WINDOW);
                std::iter::once(0).chain(first.max(1)..=last).collect()
            }
            None => Vec::new(),
        };
        Self { delivered, unseen: 0, starts, held: Vec::new(), repeated: 0 }
    }

    /// For an answer whose pieces cannot be held back: it is taken as it comes.
    pub(crate) fn none() -> Self {
        Self { delivered: Vec::new(), unseen: 0, starts: Vec::new(), held: Vec::new(), repeated: 0 }
    }

    /// Takes in more of the new text, and gives back what the caller is to have.
    pub(crate) fn feed(&mut self, mut new: &[u16]) -> Vec<u16> {
        new = self.skip_unseen(new);
        for (at, unit) in new.iter().enumerate() {
            if self.starts.is_empty() {
                let mut settled = self.settle();
                settled.extend_from_slice(&new[at..]);
                return settled;
            }
            self.hold(*unit);
        }
        if self.starts.is_empty() { self.settle() } else { Vec::new() }
    }

    /// Nothing more may be held back: gives what the caller is to have of it.
    pub(crate) fn settle(&mut self) -> Vec<u16> {
        self.starts.clear();
        let rest = self.held.split_off(self.repeated);
        self.held.clear();
        self.repeated = 0;
        rest
    }

    /// Leaves out what is the same as the white space that the caller has and the model was not shown.
    fn skip_unseen<'n>(&mut self, new: &'n [u16]) -> &'n [u16] {
        if new.is_empty() {
            return new;
        }
        let tail = &self.delivered[self.delivered.len() - self.unseen..];
        let same = tail.iter().zip(new).take_while(|(told, new)| told == new).count();
        self.unseen = if same == new.len() { self.unseen - same } else { 0 };
        &new[same..]
    }

    fn hold(&mut self, unit: u16) {
        let at = self.held.len();
        self.held.push(unit);
        self.starts.retain(|start| self.delivered.get(start + at) == Some(&unit));
        let length = self.held.len();
        if self.starts.last().is_some_and(|start| start + length == self.delivered.len()) {
            // The shortest one that is left is whole; a longer one may follow.
            self.repeated = length;
            self.starts.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn units(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    /// What the caller has in the end, the new text coming unit by unit.
    fn joined(delivered: &str, mut overlap: Overlap, new: &str) -> String {
        let mut caller = units(delivered);
        for unit in units(new) {
            caller.extend(overlap.feed(&[unit]));
        }
        caller.extend(overlap.settle());
        String::from_utf16_lossy(&caller)
    }

    const SAID: &str = "The quick brown fox jumps over";

    #[test]
    fn a_text_that_is_given_back_is_not_sent_twice() {
        let prefill = || Overlap::of_prefill(units(SAID), 0);
        assert_eq!(joined(SAID, prefill(), " the dog"), "The quick brown fox jumps over the dog");
        assert_eq!(joined(SAID, prefill(), &format!("{SAID} the dog")), "The quick brown fox jumps over the dog");
        assert_eq!(joined(SAID, prefill(), " The quick one"), "The quick brown fox jumps over The quick one");
        assert_eq!(joined(SAID, prefill(), "The quick"), "The quick brown fox jumps overThe quick", "not all of it");
    }

    #[test]
    fn last_words_that_are_repeated_are_not_sent_twice() {
        let told = || Overlap::of_instruction(units(SAID));
        for new in [" the dog", "brown fox jumps over the dog", "The quick brown fox jumps over the dog"] {
            assert_eq!(joined(SAID, told(), new), "The quick brown fox jumps over the dog");
        }
        assert_eq!(joined(SAID, told(), "jumps over it"), "The quick brown fox jumps overjumps over it", "too short");
        let longest = "abcabcabcabcabcabcabcabc";
        let overlap = Overlap::of_instruction(units(longest));
        assert_eq!(joined(longest, overlap, &format!("{longest}!")), format!("{longest}!"), "the longest one counts");
    }

    #[test]
    fn white_space_that_the_model_was_not_shown_comes_once() {
        for new in ["  two", " two", "two"] {
            assert_eq!(joined("one  ", Overlap::of_prefill(units("one  "), 2), new), "one  two", "{new:?}");
        }
        assert_eq!(joined("one\n", Overlap::of_prefill(units("one\n"), 1), "\n\ntwo"), "one\n\ntwo");
    }

    proptest! {
        #[test]
        fn whatever_is_repeated_the_caller_has_the_text_once(
            said in "[a-z ]{16,80}",
            from in any::<usize>(),
            more in "[0-9][a-z0-9 ]{0,40}",
            cuts in prop::collection::vec(1usize..9, 1..20),
        ) {
            let delivered = units(&said);
            let from = from % (delivered.len() - SHORTEST + 1);
            let new: Vec<u16> = delivered[from..].iter().copied().chain(units(&more)).collect();
            let mut overlap = Overlap::of_instruction(delivered.clone());
            let mut caller = delivered;
            let mut rest = new.as_slice();
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at((*cut).min(rest.len()));
                caller.extend(overlap.feed(piece));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            caller.extend(overlap.settle());
            prop_assert_eq!(String::from_utf16_lossy(&caller), format!("{said}{more}"));
        }

        #[test]
        fn nothing_that_is_new_is_ever_lost(said in "[ab]{0,40}", new in "[ab]{0,40}") {
            let has = joined(&said, Overlap::of_instruction(units(&said)), &new);
            prop_assert!(has.starts_with(&said));
            let dropped = said.len() + new.len() - has.len();
            prop_assert!(said.ends_with(&new[..dropped]) && has.ends_with(&new[dropped..]));
        }
    }
}
