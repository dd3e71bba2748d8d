//! The chunks of a provider that finishes another one's answer, made into chunks of that answer.
//!
//! They are chunks of a chat, whichever sort came: who wants text completions has these turned around.
//!
//! The caller sees one answer: one id, one role, each word once, one `finish_reason`. What cannot be joined honestly is
//! reported as a [`Misfit`], and nothing of it is sent. Reasoning is no part of the answer: where it differs from what
//! was delivered, or the text has begun already, it is left out. So is the usage, which is but one provider's: what all
//! of them have spent is said at the end.

mod joint;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::continuation::Manner;
use super::delivered::{Delivered, Identity, MOST_CHOICES};
use super::fields::{Fields, content, field, put, read, says};
use super::json_text;
use super::splice::Diverged;
use joint::Joint;

/// Parts of a delta that belong to the answer and are no text.
const NOT_TEXT: [&str; 4] = ["tool_calls", "function_call", "refusal", "audio"];

/// How the new provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manuscript {
    /// For the whole answer.
    Anew,
    /// To go on from what was delivered.
    GoingOn(Manner),
}

/// Who finishes the answer, as the caller is told in the field `vx11`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Finisher {
    /// The provider's name.
    pub(crate) provider: String,
    /// The model that it was asked for.
    pub(crate) model: String,
    /// How often the stream broke and was taken over.
    pub(crate) rescued: u32,
}

/// Why a chunk cannot be made a part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misfit {
    /// The new answer is another one than what was delivered.
    Diverged,
    /// Only a part of a token's text is new, so that its probabilities fit nothing; or it is of a choice not asked for.
    Inseparable,
}

impl From<Diverged> for Misfit {
    fn from(_: Diverged) -> Self {
        Self::Diverged
    }
}

/// Makes one provider's chunks into chunks of an answer that was begun by another.
#[derive(Debug)]
pub(crate) struct Rewriter {
    identity: Identity,
    finisher: Finisher,
    choices: Vec<Joint>,
    /// The model as the new provider calls it.
    model: Option<Box<RawValue>>,
    ending: bool,
}

impl Rewriter {
    /// Joins an answer of `choices` choices to what was `delivered`.
    pub(crate) fn new(delivered: &Delivered, choices: u32, manuscript: Manuscript, finisher: Finisher) -> Self {
        // A caller may ask for any number; of more than are kept, no chunk fits.
        let choices = 0..MOST_CHOICES.min(choices as usize);
        Self {
            identity: delivered.identity(),
            finisher,
            choices: choices.map(|index| Joint::new(delivered, index, manuscript)).collect(),
            model: None,
            ending: false,
        }
    }

    /// The chunk for the caller, where `data`, the payload of a well-formed chunk, has something new for it.
    ///
    /// # Errors
    /// When it does not fit; no later chunk will either.
    pub(crate) fn rewrite(&mut self, data: &[u8]) -> Result<Option<Vec<u8>>, Misfit> {
        let mut chunk: Fields = serde_json::from_slice(data).map_err(|_| Misfit::Inseparable)?;
        let came: Vec<Fields> = read(field(&chunk, "choices")).unwrap_or_default();
        let mut choices = Vec::with_capacity(came.len());
        let mut ends = false;
        for choice in came {
            if let Some((choice, finished)) = self.choice(choice)? {
                ends |= finished;
                choices.push(choice);
            }
        }
        if choices.is_empty() {
            return Ok(None);
        }
        self.ending |= ends;
        chunk.remove("usage");
        self.identify(&mut chunk);
        put(&mut chunk, "choices", &choices);
        if ends {
            put(&mut chunk, "vx11", &self.finisher);
        }
        serde_json::to_vec(&chunk).map(Some).map_err(|_| Misfit::Inseparable)
    }

    /// The chunk that says at the end what all providers have spent together.
    pub(crate) fn last(&mut self, usage: &impl Serialize) -> Option<Vec<u8>> {
        let mut chunk = Fields::new();
        put(&mut chunk, "object", &"chat.completion.chunk");
        put(&mut chunk, "choices", &[(); 0]);
        put(&mut chunk, "usage", usage);
        self.identify(&mut chunk);
        serde_json::to_vec(&chunk).ok()
    }

    /// What is new of one choice, and whether it ends with this.
    fn choice(&mut self, mut choice: Fields) -> Result<Option<(Fields, bool)>, Misfit> {
        let index: usize = read(field(&choice, "index")).unwrap_or_default();
        let joint = self.choices.get_mut(index).ok_or(Misfit::Inseparable)?;
        if joint.finished {
            return Ok(None);
        }
        let finished = says(field(&choice, "finish_reason"));
        let mut delta: Fields = read(field(&choice, "delta")).unwrap_or_default();
        if let Some(text) = choice.remove("text") {
            delta.entry("content".to_owned()).or_insert(text);
        }
        if joint.begun {
            delta.remove("role");
        }
        let came = content(&mut delta);
        joint.reasoning(&mut delta);
        let not_text = NOT_TEXT.iter().any(|name| says(field(&delta, name))) || delta.contains_key("content");
        let rest = joint.feed(&came, finished || not_text)?;
        if !joint.is_caught_up() {
            // Whatever else came belongs to text that the caller has.
            delta.clear();
        }
        if rest.is_empty() {
            choice.remove("logprobs");
        } else if rest != came && says(field(&choice, "logprobs")) {
            return Err(Misfit::Inseparable);
        }
        if !rest.is_empty()
            && let Ok(text) = RawValue::from_string(json_text::quoted(&rest))
        {
            delta.insert("content".to_owned(), text);
        }
        if delta.is_empty() && !finished && joint.begun {
            return Ok(None);
        }
        joint.begun = true;
        joint.finished = finished;
        put(&mut choice, "delta", &delta);
        Ok(Some((choice, finished)))
    }

    /// Gives the chunk the fields that all chunks of the answer share. The last ones name the model that finished it.
    fn identify(&mut self, chunk: &mut Fields) {
        if let Some(model) = chunk.remove("model").filter(|model| model.get() != r#""""#) {
            self.model = Some(model);
        }
        let asked = || to_raw_value(&self.finisher.model).ok();
        let model = match self.ending {
            true => self.model.clone().or_else(asked),
            false => self.identity.model.clone(),
        };
        for (name, value) in
            [("id", self.identity.id.clone()), ("created", self.identity.created.clone()), ("model", model)]
        {
            match value {
                Some(value) => chunk.insert(name.to_owned(), value),
                None => chunk.remove(name),
            };
        }
    }
}

#[cfg(test)]
mod tests;
