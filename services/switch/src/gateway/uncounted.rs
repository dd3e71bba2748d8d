//! What a provider has not said of its tokens, and can be counted, because its model's vocabulary is public.
//!
//! A short text is counted where it is. A longer one is estimated, and the bill corrected when a thread of its own has
//! counted it: no answer, failover or rescue waits for that.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::Shared;
use super::progress::Progress;
use crate::accounts::{Bill, Tokens};
use crate::domain::routing::Target;
use crate::domain::written::Written;
use crate::tokenizer::{Vocabulary, answer_tokens};

/// Bytes that are counted at once: in half a millisecond, or four where somebody has chosen them to take long.
const SHORT: usize = 8 * 1024;

/// What was written of an answer.
#[derive(Clone, Debug, Default)]
pub(super) enum Wrote {
    /// Nothing, or nobody kept it.
    #[default]
    Nothing,
    /// A stream, as far as it went.
    Stream(Arc<Written>),
    /// A whole answer, in the pivot.
    Whole(Bytes),
}

/// The texts of a call, to be counted in a vocabulary.
#[derive(Clone, Debug)]
pub(super) struct Uncounted {
    pub(super) vocabulary: Vocabulary,
    /// Has the request, and keeps how many tokens it has.
    pub(super) bill: Bill,
    pub(super) wrote: Wrote,
}

impl Uncounted {
    pub(super) fn is_short(&self) -> bool {
        self.bytes() <= SHORT
    }

    fn bytes(&self) -> usize {
        let written = match &self.wrote {
            Wrote::Nothing => 0,
            Wrote::Stream(written) => written.bytes(),
            Wrote::Whole(body) => body.len(),
        };
        self.bill.uncounted_bytes(self.vocabulary) + written
    }

    /// Counts both; the answer's tokens are handed back where they are known.
    pub(super) fn count(&self) -> Option<u64> {
        caught(|| {
            self.bill.count_prompt(self.vocabulary);
            match &self.wrote {
                Wrote::Nothing => None,
                Wrote::Stream(written) => written.tokens(self.vocabulary),
                Wrote::Whole(body) => answer_tokens(self.vocabulary, body),
            }
        })
    }
}

/// What `count` finds. A text that makes it panic is no answer for nothing: it is estimated.
fn caught(count: impl FnOnce() -> Option<u64>) -> Option<u64> {
    catch_unwind(AssertUnwindSafe(count)).unwrap_or_else(|_| {
        tracing::error!("a text could not be counted");
        None
    })
}

/// A call's charge, made when this is dropped: whatever becomes of the count, it is paid for.
struct Due {
    progress: Progress,
    bill: Bill,
    shared: Arc<Shared>,
    target: Target,
    may_have_spent: bool,
    /// What is on the bill in its place.
    about: Tokens,
}

impl Due {
    fn count(mut self, uncounted: &Uncounted) {
        self.progress.written = uncounted.count().unwrap_or(self.progress.written);
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        self.progress.charge(&self.bill, (&self.shared, &self.target), self.may_have_spent, self.about);
    }
}

/// Puts on `bill` what was spent on a call, as [`Progress::charge`] does: of what is `uncounted` an estimate at first
/// where it is long.
pub(super) fn charge(
    mut progress: Progress,
    uncounted: Option<Uncounted>,
    bill: &Bill,
    (shared, target): (&Arc<Shared>, &Target),
    may_have_spent: bool,
) {
    if let Some(uncounted) = uncounted {
        if !uncounted.is_short() {
            let about = progress.spent(bill, &target.model);
            bill.expect(&target.model, about);
            let (bill, shared, target) = (bill.clone(), shared.clone(), target.clone());
            let due = Due { progress, bill: bill.clone(), shared, target, may_have_spent, about };
            bill.later(uncounted.bytes(), Box::new(move || due.count(&uncounted)));
            return;
        }
        progress.written = uncounted.count().unwrap_or(progress.written);
    }
    progress.charge(bill, (shared, target), may_have_spent, Tokens::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_that_panics_is_none() {
        assert_eq!(caught(|| Some(1)), Some(1));
        assert_eq!(caught(|| panic!("a bad text")), None);
    }
}
