//! Where one choice of the new answer meets what the caller has of it: which of its words, and of its thoughts, are
//! new.

use serde_json::value::RawValue;

use super::Manuscript;
use crate::domain::continuation::{self, Manner};
use crate::domain::delivered::Delivered;
use crate::domain::fields::{Fields, text};
use crate::domain::json_text;
use crate::domain::overlap::Overlap;
use crate::domain::splice::{Diverged, Splice};

/// The names that reasoning goes by.
const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];
/// Where its signatures are.
const SIGNED: &str = "thinking_blocks";

/// Where one choice of the new answer meets what the caller has of it.
#[derive(Debug)]
pub(super) struct Joint {
    text: Text,
    /// `None`: no more of it is sent.
    reasoning: Option<Splice>,
    pub(super) begun: bool,
    pub(super) finished: bool,
}

#[derive(Debug)]
enum Text {
    Anew(Splice),
    GoingOn(Overlap),
}

impl Joint {
    pub(super) fn new(delivered: &Delivered, index: usize, manuscript: Manuscript) -> Self {
        let content = delivered.content(index);
        let reasoning = content.is_empty().then(|| Splice::new(delivered.reasoning(index)));
        let text = match manuscript {
            Manuscript::Anew => Text::Anew(Splice::new(content)),
            // Each token's probabilities come with its own text.
            Manuscript::GoingOn(_) if delivered.has_logprobs() => Text::GoingOn(Overlap::none()),
            // Who completes a text goes on behind it: what is the same as before belongs to the answer.
            Manuscript::GoingOn(Manner::Prompt) => Text::GoingOn(Overlap::none()),
            Manuscript::GoingOn(Manner::Instruction) => Text::GoingOn(Overlap::of_instruction(content)),
            Manuscript::GoingOn(Manner::Prefill) => {
                let unseen = content.len() - continuation::shown_to_prefill(&content).len();
                Text::GoingOn(Overlap::of_prefill(content, unseen))
            }
        };
        Self { text, reasoning, begun: delivered.has_begun(index), finished: delivered.has_finished(index) }
    }

    /// What the caller does not have yet; all of it where no more text may be held back.
    pub(super) fn feed(&mut self, came: &[u16], all: bool) -> Result<Vec<u16>, Diverged> {
        match &mut self.text {
            Text::Anew(splice) => {
                let rest = splice.feed(came)?.to_vec();
                if all && !splice.is_caught_up() { Err(Diverged) } else { Ok(rest) }
            }
            Text::GoingOn(overlap) => {
                let mut rest = overlap.feed(came)?;
                if all {
                    rest.extend(overlap.settle()?);
                }
                Ok(rest)
            }
        }
    }

    pub(super) fn is_caught_up(&self) -> bool {
        match &self.text {
            Text::Anew(splice) => splice.is_caught_up(),
            Text::GoingOn(_) => true,
        }
    }

    /// Leaves of a delta's reasoning what is new. What signs it stays where the caller has the very thought that is
    /// signed.
    pub(super) fn reasoning(&mut self, delta: &mut Fields) {
        let came = REASONING.iter().find_map(|name| delta.get(*name).and_then(|raw| text(raw)));
        let rest = match (&mut self.reasoning, &came) {
            (Some(splice), Some(came)) => splice.feed(came).map(<[u16]>::to_vec),
            _ => Ok(Vec::new()),
        };
        if rest.is_err() {
            self.reasoning = None;
        }
        let rest = rest.unwrap_or_default();
        if !self.reasoning.as_ref().is_some_and(Splice::is_caught_up) {
            delta.remove(SIGNED);
        }
        for name in REASONING {
            if delta.remove(name).is_some_and(|raw| text(&raw).is_some())
                && !rest.is_empty()
                && let Ok(raw) = RawValue::from_string(json_text::quoted(&rest))
            {
                delta.insert(name.to_owned(), raw);
            }
        }
    }
}
