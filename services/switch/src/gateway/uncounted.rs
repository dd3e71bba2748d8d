//! What a provider has not said of its tokens, and can be counted, because its model's vocabulary is public.
//!
//! A short text is counted where it is; a longer one on a thread of its own, which is waited for where somebody is told
//! the number, and else charges the bill when it is done.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::Shared;
use super::progress::Progress;
use crate::accounts::Bill;
use crate::domain::routing::Target;
use crate::domain::written::Written;
use crate::tokenizer::{Vocabulary, answer_tokens};

/// Bytes that are counted at once: in half a millisecond, or four where somebody has chosen them to take long.
const SHORT: usize = 8 * 1024;
/// Longest wait for a count.
const PATIENCE: Duration = Duration::from_secs(2);

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
    fn bytes(&self) -> usize {
        let written = match &self.wrote {
            Wrote::Nothing => 0,
            Wrote::Stream(written) => written.bytes(),
            Wrote::Whole(body) => body.len(),
        };
        self.bill.uncounted_bytes(self.vocabulary) + written
    }

    /// Counts both; the answer's tokens are handed back where they are known.
    fn count(&self) -> Option<u64> {
        self.bill.count_prompt(self.vocabulary);
        match &self.wrote {
            Wrote::Nothing => None,
            Wrote::Stream(written) => written.tokens(self.vocabulary),
            Wrote::Whole(body) => answer_tokens(self.vocabulary, body),
        }
    }

    /// Counts both, without holding up anybody else.
    pub(super) async fn counted(self) -> Option<u64> {
        let bytes = self.bytes();
        if bytes <= SHORT {
            return self.count();
        }
        let (tell, told) = oneshot::channel();
        let bill = self.bill.clone();
        let job = move || {
            // Nobody waits any more where nobody is told.
            let _ = tell.send(self.count());
        };
        if !bill.later(bytes, Box::new(job)) {
            return None;
        }
        tokio::time::timeout(PATIENCE, told).await.ok()?.ok()?
    }
}

/// Puts on `bill` what was spent on a call, as [`Progress::charge`] does, once what is `uncounted` of it is counted.
pub(super) fn charge(
    mut progress: Progress,
    uncounted: Option<Uncounted>,
    bill: &Bill,
    (shared, target): (&Arc<Shared>, &Target),
    may_have_spent: bool,
) {
    if let Some(uncounted) = uncounted {
        let bytes = uncounted.bytes();
        if bytes > SHORT {
            let (shared, target, owner) = (shared.clone(), target.clone(), bill.clone());
            let job = move || {
                progress.written = uncounted.count().unwrap_or(progress.written);
                progress.charge(&owner, &shared, &target, may_have_spent);
            };
            if bill.later(bytes, Box::new(job)) {
                return;
            }
        } else {
            progress.written = uncounted.count().unwrap_or(progress.written);
        }
    }
    progress.charge(bill, shared, target, may_have_spent);
}
