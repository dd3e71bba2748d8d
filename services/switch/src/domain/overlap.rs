//! An answer that goes on from a partial text, joined to it: what the model repeats of the text is not sent twice.
//!
//! Some providers give the text they were to go on from back first, and models that were told to go on like to begin with
//! their last words. Only a repetition of [`SHORTEST`] units or more counts: a shorter one may well belong to the answer.
//!
//! A provider that does not heed the text it was given to go on from answers anew. It then begins as the delivered answer
//! does: where it goes on in other words before it has repeated all of it, it is another answer, as in
//! [`Splice`](super::splice::Splice).

use super::splice::Diverged;

/// The shortest repetition that is taken for one, in UTF-16 code units.
pub(crate) const SHORTEST: usize = 16;
/// How much of a long text's beginning must be repeated to be no chance, in UTF-16 code units; of a shorter text, half.
const SURE: usize = 64;
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
    /// How much of the text's beginning, when repeated, shows that the answer began anew. `None`: that cannot be, or is
    /// known not to be so.
    restart: Option<usize>,
    has_restarted: bool,
}

impl Overlap {
    /// For a model that was given the text, less `unseen` units of white space at its end, to go on from: it repeats all
    /// of it, or none.
    pub(crate) fn of_prefill(delivered: Vec<u16>, unseen: usize) -> Self {
        let starts = if delivered.len() >= SHORTEST { vec![0] } else { Vec::new() };
        let restart = Some(SHORTEST.max(SURE.min(delivered.len() / 2)));
        Self { unseen, restart, ..Self::new(delivered, starts) }
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
        Self::new(delivered, starts)
    }

    /// For an answer whose pieces cannot be held back: it is taken as it comes.
    pub(crate) fn none() -> Self {
        Self::new(Vec::new(), Vec::new())
    }

    fn new(delivered: Vec<u16>, starts: Vec<usize>) -> Self {
        Self { delivered, unseen: 0, starts, held: Vec::new(), repeated: 0, restart: None, has_restarted: false }
    }

    /// Whether the new text began with all that was delivered.
    pub(crate) fn has_restarted(&self) -> bool {
        self.has_restarted
    }

    /// Takes in more of the new text, and gives back what the caller is to have.
    ///
    /// # Errors
    /// When the new text is another answer; nothing of it may be sent then.
    pub(crate) fn feed(&mut self, mut new: &[u16]) -> Result<Vec<u16>, Diverged> {
        new = self.skip_unseen(new);
        for (at, unit) in new.iter().enumerate() {
            if self.starts.is_empty() {
                let mut settled = self.settle()?;
                settled.extend_from_slice(&new[at..]);
                return Ok(settled);
            }
            self.hold(*unit);
        }
        if self.starts.is_empty() { self.settle() } else { Ok(Vec::new()) }
    }

    /// Nothing more may be held back: gives what the caller is to have of it.
    ///
    /// # Errors
    /// When the new text is another answer.
    pub(crate) fn settle(&mut self) -> Result<Vec<u16>, Diverged> {
        self.starts.clear();
        if let Some(enough) = self.restart.take() {
            self.has_restarted = self.repeated > 0;
            let same = self.delivered.iter().zip(&self.held).take_while(|(told, new)| told == new).count();
            if !self.has_restarted && same >= enough {
                return Err(Diverged);
            }
        }
        let rest = self.held.split_off(self.repeated);
        self.held.clear();
        self.repeated = 0;
        Ok(rest)
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
            caller.extend(overlap.feed(&[unit]).expect("it goes on"));
        }
        caller.extend(overlap.settle().expect("it goes on"));
        String::from_utf16_lossy(&caller)
    }

    /// What is sent of `new` when it is told apart as another answer; it comes in pieces of `cuts`.
    fn diverged(mut overlap: Overlap, new: &[u16], cuts: &[usize]) -> Option<Vec<u16>> {
        let (mut sent, mut rest) = (Vec::new(), new);
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            match overlap.feed(piece) {
                Ok(new) => sent.extend(new),
                Err(Diverged) => return Some(sent),
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        overlap.settle().is_err().then_some(sent)
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
    fn an_answer_that_begins_anew_and_goes_on_in_other_words_is_another_one() {
        for new in ["The quick brown cat", "The quick brown f"] {
            assert_eq!(diverged(Overlap::of_prefill(units(SAID), 0), &units(new), &[1]), Some(Vec::new()), "{new}");
        }
        assert_eq!(diverged(Overlap::of_instruction(units(SAID)), &units("The quick brown cat"), &[1]), None);
        let refrain = "| a | b |\n|---|---|\n".repeat(4);
        let next = "| a | b |\n| 1 | 2 |\n";
        assert_eq!(joined(&refrain, Overlap::of_prefill(units(&refrain), 0), next), format!("{refrain}{next}"));
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
                caller.extend(overlap.feed(piece).expect("it goes on"));
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            caller.extend(overlap.settle().expect("it goes on"));
            prop_assert_eq!(String::from_utf16_lossy(&caller), format!("{said}{more}"));
        }

        #[test]
        fn a_prefill_that_is_not_heeded_is_laid_over_the_text_or_told_apart(
            said in "[a-z ]{16,200}",
            until in any::<usize>(),
            more in "[0-9][a-z0-9 ]{0,40}",
            cuts in prop::collection::vec(1usize..9, 1..20),
        ) {
            let delivered = units(&said);
            let until = until % (delivered.len() + 1);
            let new: Vec<u16> = delivered[..until].iter().copied().chain(units(&more)).collect();
            let overlap = || Overlap::of_prefill(delivered.clone(), 0);
            if until >= SHORTEST.max(SURE.min(delivered.len() / 2)) && until < delivered.len() {
                prop_assert_eq!(diverged(overlap(), &new, &cuts), Some(Vec::new()));
            } else {
                // All of it is repeated, or too little to tell.
                let rest = if until == delivered.len() { more } else { String::from_utf16_lossy(&new) };
                prop_assert_eq!(joined(&said, overlap(), &String::from_utf16_lossy(&new)), format!("{said}{rest}"));
            }
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
