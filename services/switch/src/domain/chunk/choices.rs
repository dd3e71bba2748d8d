//! What one chunk says, of each of its choices, read without a copy.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::said::{Said, said};
use crate::domain::ending::Ending;

/// The choices of one chunk, folded while they are parsed; no list is made of the one choice that most chunks have.
#[derive(Default)]
pub(super) struct Choices<'a> {
    pub(super) begun: u128,
    pub(super) finished: u128,
    pub(super) tokens: u64,
    /// Whether one of them says something, if only that it has ended.
    pub(super) says: bool,
    /// Whether the provider gave one of them up.
    pub(super) given_up: bool,
    first: Option<Piece<'a>>,
    more: Vec<Piece<'a>>,
}

impl<'a> Choices<'a> {
    /// One that says this.
    pub(super) fn of(piece: Piece<'a>) -> Self {
        let mut one = Self::default();
        one.add(piece);
        one
    }

    fn add(&mut self, piece: Piece<'a>) {
        // More choices than bits: the last bit stands for all the rest.
        let bit = 1u128 << piece.index.min(u128::BITS - 1);
        self.begun |= bit;
        if piece.finished {
            self.finished |= bit;
        }
        self.tokens += piece.tokens;
        self.says |= piece.says();
        match self.first {
            None => self.first = Some(piece),
            Some(_) => self.more.push(piece),
        }
    }

    /// What the only one says, where there is one.
    pub(super) fn only(&self) -> Option<&Piece<'a>> {
        self.first.as_ref().filter(|_| self.more.is_empty())
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &Piece<'a>> + Clone {
        self.first.iter().chain(&self.more)
    }
}

/// What one chunk says of one choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    /// The choice.
    pub(crate) index: u32,
    /// More of its text, as the JSON string stands in the chunk.
    pub(crate) content: Option<&'a str>,
    /// More of its reasoning, likewise.
    pub(crate) reasoning: Option<&'a str>,
    /// A part of a tool call.
    pub(crate) tool_call: bool,
    /// Something of the answer that is no text.
    pub(crate) other: bool,
    /// How much of it all there is, about, in tokens.
    pub(crate) tokens: u64,
    /// Whether probabilities come with it.
    pub(crate) logprobs: bool,
    /// Whether it said why it ended.
    pub(crate) finished: bool,
}

impl Piece<'_> {
    /// Whether it says anything that is no plain text.
    pub(crate) fn is_more_than_text(&self) -> bool {
        self.tool_call || self.other
    }

    /// Whether it says anything of the answer, if only that it has ended.
    fn says(&self) -> bool {
        // More than its quotes: blanks count for nothing among the tokens.
        let is_text = |text: Option<&str>| text.is_some_and(|text| text.len() > 2);
        self.tokens > 0 || self.other || self.finished || is_text(self.content) || is_text(self.reasoning)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: Option<DeltaPeek<'a>>,
    /// What an older API has in place of a delta.
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(default)]
    logprobs: Said,
    #[serde(default)]
    finish_reason: Ending,
}

#[derive(Default, Deserialize)]
struct DeltaPeek<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(default)]
    refusal: Said,
    #[serde(default)]
    tool_calls: Said,
    #[serde(default)]
    function_call: Said,
    #[serde(default)]
    audio: Said,
    /// Not looked into: they are long.
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
}

impl<'a> From<Choice<'a>> for Piece<'a> {
    fn from(choice: Choice<'a>) -> Self {
        let delta = choice.delta.unwrap_or_default();
        let (content, parts) = text(delta.content.or(choice.text));
        // Some servers send it under both names.
        let (reasoning, _) = text(delta.reasoning_content.or(delta.reasoning));
        let tokens = said(delta.content)
            + said(delta.reasoning_content).max(said(delta.reasoning))
            + delta.refusal.0
            + delta.tool_calls.0
            + delta.function_call.0
            + said(choice.text);
        Self {
            index: choice.index,
            content,
            reasoning,
            tool_call: delta.tool_calls.0 > 0 || delta.function_call.0 > 0,
            other: parts || text(delta.images).1 || delta.refusal.0 > 0 || delta.audio.0 > 0,
            tokens,
            logprobs: choice.logprobs.0 > 0,
            finished: choice.finish_reason == Ending::Ended,
        }
    }
}

/// A field that is usually text, and whether it holds something else instead.
fn text(field: Option<&RawValue>) -> (Option<&str>, bool) {
    match field.map(RawValue::get) {
        Some(text) if text.starts_with('"') => (Some(text), false),
        Some("[]") | None => (None, false),
        Some(_) => (None, true),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices<'de>, A::Error> {
                let mut seen = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    seen.given_up |= choice.finish_reason == Ending::GivenUp;
                    seen.add(choice.into());
                }
                Ok(seen)
            }
        }
        deserializer.deserialize_seq(Fold)
    }
}
