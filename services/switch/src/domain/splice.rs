//! An answer that was begun anew, laid over what the caller has of the first one: the part that is the same is not sent
//! twice.

/// The new answer is another one than what was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Diverged;

/// What was delivered, in UTF-16 code units, and how much of it the new answer has repeated so far.
#[derive(Clone, Debug)]
pub(crate) struct Splice {
    delivered: Vec<u16>,
    matched: usize,
}

impl Splice {
    /// Lays a new answer over `delivered`.
    pub(crate) fn new(delivered: Vec<u16>) -> Self {
        Self { delivered, matched: 0 }
    }

    /// Takes in more of the new answer, and gives back what the caller does not have yet.
    ///
    /// # Errors
    /// When the new answer says something else than what was delivered; nothing of it may be sent then.
    pub(crate) fn feed<'n>(&mut self, new: &'n [u16]) -> Result<&'n [u16], Diverged> {
        let missing = &self.delivered[self.matched..];
        let (repeated, rest) = new.split_at(missing.len().min(new.len()));
        if !missing.starts_with(repeated) {
            return Err(Diverged);
        }
        self.matched += repeated.len();
        Ok(rest)
    }

    /// Whether all that was delivered has been repeated. A new answer that ends before is another answer.
    pub(crate) fn is_caught_up(&self) -> bool {
        self.matched == self.delivered.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts of few letters repeat themselves, which is where matching goes wrong.
    fn text() -> impl Strategy<Value = Vec<u16>> {
        let repetitive = prop::collection::vec(prop_oneof![Just(97u16), Just(98), Just(0xd83d), Just(0xde00)], 0..30);
        prop_oneof![repetitive, any::<String>().prop_map(|text| text.encode_utf16().collect())]
    }

    /// `whole` in pieces that end at `cuts`.
    fn pieces<'w>(whole: &'w [u16], cuts: &[usize]) -> Vec<&'w [u16]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (whole.len() + 1)).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        cuts.windows(2).map(|pair| &whole[pair[0]..pair[1]]).collect()
    }

    proptest! {
        #[test]
        fn an_agreeing_answer_is_delivered_exactly_once(
            whole in text(),
            broke_at in any::<usize>(),
            cuts in prop::collection::vec(any::<usize>(), 0..8),
        ) {
            let mut caller = whole[..broke_at % (whole.len() + 1)].to_vec();
            let mut splice = Splice::new(caller.clone());
            for piece in pieces(&whole, &cuts) {
                caller.extend_from_slice(splice.feed(piece).expect("it agrees"));
            }
            prop_assert!(splice.is_caught_up());
            prop_assert_eq!(caller, whole);
        }

        #[test]
        fn of_another_answer_nothing_is_delivered(
            delivered in text(),
            new in text(),
            cuts in prop::collection::vec(any::<usize>(), 0..8),
        ) {
            prop_assume!(!new.starts_with(&delivered));
            let mut splice = Splice::new(delivered);
            let mut diverged = false;
            for piece in pieces(&new, &cuts) {
                match splice.feed(piece) {
                    Ok(rest) => prop_assert!(rest.is_empty()),
                    Err(Diverged) => {
                        diverged = true;
                        break;
                    }
                }
            }
            prop_assert!(diverged || !splice.is_caught_up(), "it differs, or it is too short");
        }
    }
}
