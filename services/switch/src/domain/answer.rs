//! A provider's whole answer: is it one, what did it cost, and what does it say.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::ending::Ending;
use super::fields::{Fields, put};
use super::reported::{Reported, ReportedUsage};
use crate::accounts::{Tier, estimate_tokens};

/// What the gateway keeps of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Read<T> {
    /// The answer in the caller's terms.
    pub(crate) answer: T,
    /// What it cost, where the provider said so.
    pub(crate) usage: Option<Reported>,
    /// Whether the provider gave it up before its end.
    pub(crate) is_given_up: bool,
}

#[derive(Deserialize)]
struct Completion<Choice> {
    choices: Vec<Choice>,
    usage: Option<ReportedUsage>,
    service_tier: Option<Tier>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct ReplyChoice {
    message: ReplyMessage,
    #[serde(default)]
    finish_reason: Ending,
}

#[derive(Deserialize)]
struct ReplyMessage {
    content: Option<String>,
    reasoning_content: Option<String>,
    /// The other name that servers have for it; some send both.
    reasoning: Option<String>,
}

/// The text of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// What was said; may be empty.
    pub(crate) content: String,
    /// The reasoning, where there is some.
    pub(crate) reasoning: Option<String>,
    /// The model as the provider calls it.
    pub(crate) model: Option<String>,
}

/// Looks whether `body` is a chat completion, without reading what it says. `None`: it is not.
pub(crate) fn check(body: &[u8]) -> Option<Read<()>> {
    #[derive(Deserialize)]
    struct Checked {
        choices: Vec<Ended>,
        usage: Option<ReportedUsage>,
        service_tier: Option<Tier>,
    }
    #[derive(Deserialize)]
    struct Ended {
        #[serde(default)]
        finish_reason: Ending,
    }
    // As text at once: from bytes, each of its strings is looked at for that by itself.
    let checked = match std::str::from_utf8(body) {
        Ok(text) => serde_json::from_str(text),
        Err(_) => serde_json::from_slice(body),
    };
    let Checked { choices, usage, service_tier } = checked.ok()?;
    let is_given_up = choices.iter().any(|choice| choice.finish_reason == Ending::GivenUp);
    let usage = usage.and_then(ReportedUsage::reported).map(|reported| reported.served(service_tier));
    (!choices.is_empty()).then_some(Read { answer: (), usage, is_given_up })
}

/// Looks whether `body` has embeddings. `None`: it has none.
pub(crate) fn embeddings(body: &[u8]) -> Option<Read<()>> {
    #[derive(Deserialize)]
    struct Embeddings {
        data: Vec<IgnoredAny>,
        usage: Option<ReportedUsage>,
    }
    let embeddings: Embeddings = serde_json::from_slice(body).ok()?;
    let usage = embeddings.usage.and_then(ReportedUsage::reported);
    (!embeddings.data.is_empty()).then_some(Read { answer: (), usage, is_given_up: false })
}

/// Embeddings with what was spent on them, for a `body` that does not say it. `None`: it is no object.
pub(crate) fn with_usage(body: &[u8], prompt_tokens: u64) -> Option<Bytes> {
    let mut fields: Fields = serde_json::from_slice(body).ok()?;
    put(&mut fields, "usage", &json!({"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}));
    serde_json::to_vec(&fields).ok().map(Bytes::from)
}

/// Reads what a chat completion says. `None`: it is none.
pub(crate) fn reply(body: &[u8]) -> Option<Read<Reply>> {
    let completion: Completion<ReplyChoice> = serde_json::from_slice(body).ok()?;
    let ReplyChoice { message, finish_reason } = completion.choices.into_iter().next()?;
    let reasoning = message.reasoning_content.or(message.reasoning).filter(|text| !text.is_empty());
    let answer = Reply { content: message.content.unwrap_or_default(), reasoning, model: completion.model };
    let tier = completion.service_tier;
    let usage = completion.usage.and_then(ReportedUsage::reported).map(|reported| reported.served(tier));
    Some(Read { answer, usage, is_given_up: finish_reason == Ending::GivenUp })
}

/// What an answer, or a part of one, says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Description {
    pub(crate) model: Option<String>,
    pub(crate) id: Option<String>,
    /// Why it ended, for each choice that has.
    pub(crate) finish_reasons: Vec<String>,
}

/// What `data`, an answer, a chunk of one or an event of Anthropic's, says of the answer; nothing where it cannot be
/// read.
pub(crate) fn describe(data: &[u8]) -> Description {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Described {
        model: Option<String>,
        id: Option<String>,
        choices: Vec<Choice>,
        /// Where Anthropic's answer has its reason, and where its event has it.
        stop_reason: Value,
        delta: Delta,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Choice {
        finish_reason: Value,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Delta {
        stop_reason: Value,
    }
    let Described { model, id, choices, stop_reason, delta } = serde_json::from_slice(data).unwrap_or_default();
    let reasons = choices.into_iter().map(|choice| choice.finish_reason).chain([stop_reason, delta.stop_reason]);
    let reasons = reasons.filter_map(|reason| reason.as_str().filter(|reason| !reason.is_empty()).map(str::to_owned));
    Description { model, id, finish_reasons: reasons.collect() }
}

/// Tokens that are written in a chat completion, about; for one that does not say.
pub(crate) fn written(body: &[u8]) -> u64 {
    let tokens = |choice: WrittenChoice<'_>| match (choice.message, choice.text) {
        (Some(message), _) => message_tokens(message.get()),
        (None, text) => estimate_tokens(&text.unwrap_or_default()),
    };
    choices(body).unwrap_or_default().into_iter().map(tokens).sum()
}

/// What one choice of a chat completion says, or of one in the older way.
#[derive(Deserialize)]
pub(crate) struct WrittenChoice<'a> {
    /// All of it: text, reasoning and calls of tools.
    #[serde(borrow)]
    pub(crate) message: Option<&'a RawValue>,
    pub(crate) text: Option<String>,
}

/// What is written in a completion. `None`: it cannot be read.
pub(crate) fn choices(body: &[u8]) -> Option<Vec<WrittenChoice<'_>>> {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        choices: Vec<WrittenChoice<'a>>,
    }
    serde_json::from_slice(body).ok().map(|Written { choices }| choices)
}

fn message_tokens(message: &str) -> u64 {
    #[derive(Deserialize)]
    struct Message<'a> {
        content: Option<String>,
        reasoning_content: Option<String>,
        reasoning: Option<String>,
        #[serde(borrow)]
        tool_calls: Option<&'a RawValue>,
    }
    // What is no plain message, such as one of several parts, counts as it stands.
    let Ok(message) = serde_json::from_str::<Message<'_>>(message) else { return estimate_tokens(message) };
    let reasoning = message.reasoning_content.or(message.reasoning);
    let texts = [message.content, reasoning].into_iter().flatten().map(|text| estimate_tokens(&text));
    texts.sum::<u64>() + message.tool_calls.map_or(0, |calls| estimate_tokens(calls.get()))
}

#[cfg(test)]
mod tests;
