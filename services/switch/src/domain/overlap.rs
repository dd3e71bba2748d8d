//! An answer that goes on from a partial text, joined to it: what the model repeats of the text is not sent twice.
//!
//! Some providers give the text they were to go on from back first, and models that were told to go on like to begin
//! with their last words. Only a repetition of [`SHORTEST`] units or more counts: a shorter one may well belong to the
//! answer.
//!
//! A provider that does not heed the text it was given to go on from answers anew. It then begins as the delivered
//! answer does: where it goes on in other words before it has repeated all of it, it is another answer, as in
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
}

impl Overlap {
    /// For a model that was given the text, less `unseen` units of white space at its end, to go on from: it repeats
    /// all of it, or none.
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
        Self { delivered, unseen: 0, starts, held: Vec::new(), repeated: 0, restart: None }
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
            let same = self.delivered.iter().zip(&self.held).take_while(|(told, new)| told == new).count();
            if self.repeated == 0 && same >= enough {
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
mod tests;
