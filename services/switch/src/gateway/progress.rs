//! How far a call has got, in tokens, and what is paid for it.

use super::Shared;
use crate::accounts::{Bill, Charge, SoFar, Tokens};
use crate::domain::routing::Target;
use crate::tokenizer::Vocabulary;

/// How far a call has got, in tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    /// Written until now, counted on their way where the provider does not say.
    pub(super) written: u64,
    /// What the provider says of the whole answer, once it does.
    pub(super) reported: Option<Tokens>,
    /// What it has said before that.
    pub(super) so_far: Option<SoFar>,
}

impl Progress {
    /// Of a whole answer: what the provider says was spent on it, else how much is `written` in it.
    pub(super) fn whole(usage: Option<Tokens>, written: impl FnOnce() -> u64) -> Self {
        Self { written: usage.map_or_else(written, |usage| usage.completion), reported: usage, so_far: None }
    }

    /// What the provider says was spent, as far as that can be. Of a stream that broke, that is what it had said until
    /// then, and an estimate of what it wrote besides.
    pub(super) fn said(&self) -> Option<Tokens> {
        let said = self.reported.or_else(|| Some(self.so_far?.with_written(self.written)));
        said.map(Tokens::believable)
    }

    /// What was spent on a call of `model`: what the provider says, else an estimate.
    pub(super) fn spent(&self, bill: &Bill, model: &str) -> Tokens {
        self.said().unwrap_or_else(|| bill.estimate(Vocabulary::of(model), self.written))
    }

    /// Whether it has worked for the request, having been told of it where it `may_have_spent` something on it.
    pub(super) fn has_worked(&self, may_have_spent: bool) -> bool {
        self.said().is_some() || self.written > 0 || may_have_spent
    }

    /// Puts on `bill` what was spent on a call to `target` that may have `spent` something, whatever came of it: what
    /// the provider said; else, where it has worked for the request, an estimate. It takes the place of what is there
    /// for it, `about`.
    pub(super) fn charge(
        &self,
        bill: &Bill,
        (shared, target): (&Shared, &Target),
        may_have_spent: bool,
        about: Tokens,
    ) {
        let has_worked = self.has_worked(may_have_spent);
        let tokens = if has_worked { self.spent(bill, &target.model) } else { Tokens::default() };
        bill.charge(&Charge {
            provider: &shared.registry.get(target.provider).name,
            model: &target.model,
            spent: shared.listed.spent(target),
            tokens,
            about,
            estimated: self.reported.is_none() && has_worked,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absurd_number_is_not_believed() {
        let absurd = Tokens { completion: u64::MAX, ..Tokens::default() };
        let so_far = Some(SoFar { tokens: absurd, counts_written: true });
        for progress in [Progress::whole(Some(absurd), || 0), Progress { so_far, ..Progress::default() }] {
            assert!(progress.said().is_some_and(|said| said.completion < u64::from(u32::MAX) * 2));
        }
    }
}
