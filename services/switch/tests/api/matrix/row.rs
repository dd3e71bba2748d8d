//! A row of the matrix: what goes wrong, and what is to come of it.

use std::time::Duration;

use super::{HASTY, HASTY_ALONE, RESTLESS, RESTLESS_ALONE, SHORT_LIMIT};

/// A fault, and its expectations.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    /// What the first provider does.
    pub(super) first: Plan,
    /// What the spare one does.
    pub(super) spare: Plan,
    /// Providers, in the order in which they are asked.
    pub(super) targets: &'static [&'static str],
    /// Who is asked where a prompt is too long for them.
    pub(super) larger: Option<&'static str>,
    /// The only kind of first provider that does such a thing.
    at: Option<Kind>,
    streamed: Expected<'static>,
    in_json: Expected<'static>,
}

/// What a provider does to the calls that it gets.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// It is well.
    Never,
    /// This to the first call.
    Once(&'static str),
    /// These to the first calls, one each.
    InTurn(&'static [&'static str]),
    /// This to all.
    Always(&'static str),
}

/// The wire that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    OpenAi,
    Anthropic,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Anthropic => "anthropic",
        }
    }
}

/// What comes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Expected<'a> {
    pub(super) end: End<'a>,
    /// How often the first provider was asked, and after that the spare one.
    pub(super) asked: (u64, u64),
    /// Tokens written in calls that came to nothing although they may have cost something.
    pub(super) wasted: Option<u64>,
    /// Tokens of the whole answer that were given to the one that finished it.
    pub(super) prefilled: u64,
}

/// What the caller got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End<'a> {
    /// The whole answer and its usage, and its wire's end.
    Whole,
    /// An answer in which the model refuses to say anything.
    Declined,
    /// An error in place of an answer; on OpenAI's wire with this code.
    Refused { status: u16, code: &'a str },
    /// So many tokens of the answer, and its wire's error where the end should be.
    BrokenOff(u64),
}

pub(super) const fn row(
    name: &'static str,
    first: Plan,
    targets: &'static [&'static str],
    streamed: Expected<'static>,
    in_json: Expected<'static>,
) -> Row {
    Row { name, first, spare: Plan::Never, targets, larger: None, at: None, streamed, in_json }
}

impl Row {
    pub(super) const fn at(self, kind: Kind) -> Self {
        Self { at: Some(kind), ..self }
    }

    pub(super) const fn spare(self, does: &'static str) -> Self {
        Self { spare: Plan::Always(does), ..self }
    }

    pub(super) const fn with_larger(self, target: &'static str) -> Self {
        Self { larger: Some(target), ..self }
    }

    pub(super) fn happens_at(&self, first: Kind) -> bool {
        self.at.is_none_or(|kind| kind == first)
    }

    /// How long the first provider asks to be left alone, in every answer that is not the last one.
    pub(super) fn retry_after(&self) -> Duration {
        let (Plan::Once(plan) | Plan::Always(plan)) = self.first else { return Duration::ZERO };
        let value = |name: &str| plan.split(',').find_map(|part| part.strip_prefix(name)?.parse().ok());
        let in_ms = value("retry_after_ms=").map(Duration::from_millis);
        in_ms.or_else(|| value("retry_after=").map(Duration::from_secs)).unwrap_or_default()
    }

    /// How long the first provider is waited for, where that is what it exceeds.
    pub(super) fn limit(&self) -> Option<Duration> {
        let exceeds = [HASTY, HASTY_ALONE, RESTLESS, RESTLESS_ALONE].contains(&self.targets);
        exceeds.then_some(SHORT_LIMIT)
    }

    pub(super) fn expected(&self, stream: bool) -> Expected<'static> {
        if stream { self.streamed } else { self.in_json }
    }
}

impl Expected<'_> {
    pub(super) const fn and(self, wasted: u64) -> Self {
        Self { wasted: Some(wasted), ..self }
    }

    /// The first provider was asked once more, which came to nothing after so many tokens.
    pub(super) const fn again(self, wasted: u64) -> Self {
        let before = match self.wasted {
            Some(tokens) => tokens,
            None => 0,
        };
        Self { asked: (self.asked.0 + 1, self.asked.1), ..self }.and(before + wasted)
    }

    pub(super) const fn prefilled(self, tokens: u64) -> Self {
        Self { prefilled: tokens, ..self }
    }
}

pub(super) const fn whole(first: u64, spare: u64) -> Expected<'static> {
    Expected { end: End::Whole, asked: (first, spare), wasted: None, prefilled: 0 }
}

pub(super) const fn declined(first: u64) -> Expected<'static> {
    Expected { end: End::Declined, ..whole(first, 0) }
}

pub(super) const fn refused(status: u16, code: &'static str, first: u64) -> Expected<'static> {
    Expected { end: End::Refused { status, code }, ..whole(first, 0) }
}

/// Refused at once, and nobody else is asked.
pub(super) const fn rejected(code: &'static str) -> Expected<'static> {
    refused(400, code, 1)
}

/// Nobody answered.
pub(super) const fn failed(first: u64) -> Expected<'static> {
    refused(502, "upstream_error", first)
}

/// Nobody answered in time.
pub(super) const fn late(first: u64) -> Expected<'static> {
    refused(504, "deadline_exceeded", first)
}

pub(super) const fn broken_off(tokens: u64) -> Expected<'static> {
    Expected { end: End::BrokenOff(tokens), ..whole(1, 0) }.and(tokens)
}
