//! A provider's whole answer: is it one, what did it cost, and what does it say.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use vx11_contracts::chat::Usage;

use super::ending::Ending;
use super::fields::{Fields, put};
use crate::accounts::{Tier, Tokens, estimate_tokens};

/// Token counts as providers report them; some leave one out, or say null.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct ReportedUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
    /// DeepSeek's name for cached tokens.
    prompt_cache_hit_tokens: Option<u64>,
    /// Mistral has it where audio was heard, whose tokens are in the total alone.
    prompt_audio_seconds: Option<IgnoredAny>,
    /// Anthropic's word for a tier, which is as dear as it is fast.
    speed: Option<Tier>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    /// The two names that gateways have for tokens put into a provider's cache.
    cache_creation_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    cache_creation_token_details: Option<CacheCreation>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// What a provider reports, as callers are told of it and as it is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    /// For callers.
    pub(crate) usage: Usage,
    /// For the bill.
    pub(crate) tokens: Tokens,
}

impl ReportedUsage {
    /// What it says; `None` where there is an object and nothing in it.
    pub(crate) fn reported(self) -> Option<Reported> {
        (self.prompt_tokens.is_some() || self.completion_tokens.is_some()).then(|| Reported::of(self))
    }

    /// All that was written. xAI and Google's OpenAI endpoint count reasoning beside the completion, so that it is in
    /// the total alone, and Google's does not say how much of it there is.
    fn written(&self, reasoning: Option<u64>) -> u64 {
        let said = self.completion_tokens.unwrap_or_default();
        let counted = self.prompt_tokens.unwrap_or_default().saturating_add(said);
        let beside = self.total_tokens.unwrap_or_default().saturating_sub(counted);
        match reasoning.filter(|reasoning| *reasoning > 0) {
            Some(reasoning) => said.saturating_add(beside.min(reasoning)),
            // What was heard is not written.
            None if self.prompt_audio_seconds.is_some() => said,
            None => said.saturating_add(beside),
        }
    }
}

impl Reported {
    /// The same, of an answer that says at which tier it was served.
    pub(crate) fn served(self, tier: Option<Tier>) -> Self {
        let tier = tier.filter(|tier| *tier != Tier::Standard).unwrap_or(self.tokens.tier);
        Self { tokens: Tokens { tier, ..self.tokens }, ..self }
    }

    fn of(reported: ReportedUsage) -> Self {
        let prompt_tokens = reported.prompt_tokens.unwrap_or_default();
        let reasoning = reported.completion_tokens_details.and_then(|details| details.reasoning_tokens);
        let completion_tokens = reported.written(reasoning);
        let total_tokens = reported.total_tokens.unwrap_or(prompt_tokens.saturating_add(completion_tokens));
        let read = reported.prompt_tokens_details;
        let cached = read.and_then(|details| details.cached_tokens);
        let cache_written = read.and_then(|details| details.cache_creation_tokens.or(details.cache_write_tokens));
        let kept = read.and_then(|details| details.cache_creation_token_details);
        let tokens = Tokens {
            prompt: prompt_tokens,
            cached: cached.or(reported.prompt_cache_hit_tokens).unwrap_or_default(),
            cache_written: cache_written.unwrap_or_default(),
            cache_written_1h: kept.and_then(|kept| kept.ephemeral_1h_input_tokens).unwrap_or_default(),
            completion: completion_tokens,
            reasoning: reasoning.unwrap_or_default(),
            tier: reported.speed.unwrap_or_default(),
        };
        Self { usage: Usage { prompt_tokens, completion_tokens, total_tokens }, tokens }
    }
}

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
    let Checked { choices, usage, service_tier } = serde_json::from_slice(body).ok()?;
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
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow, default)]
        choices: Vec<WrittenChoice<'a>>,
    }
    #[derive(Deserialize)]
    struct WrittenChoice<'a> {
        /// All of it: text, reasoning and calls of tools.
        #[serde(borrow)]
        message: Option<&'a RawValue>,
        text: Option<String>,
    }
    let written: Written<'_> = serde_json::from_slice(body).unwrap_or(Written { choices: Vec::new() });
    let tokens = |choice: WrittenChoice<'_>| match (choice.message, choice.text) {
        (Some(message), _) => message_tokens(message.get()),
        (None, text) => estimate_tokens(&text.unwrap_or_default()),
    };
    written.choices.into_iter().map(tokens).sum()
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
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_described_in_the_words_of_either_wire() {
        let of = |data: &str| {
            let Description { model, id, finish_reasons } = describe(data.as_bytes());
            (model.unwrap_or_default(), id.unwrap_or_default(), finish_reasons.join(","))
        };
        for (data, model, id, reasons) in [
            (
                r#"{"id":"c","model":"m","choices":[{"finish_reason":"stop","stop_reason":7},{"finish_reason":"length"}]}"#,
                "m",
                "c",
                "stop,length",
            ),
            (r#"{"id":"c","choices":[{"finish_reason":null},{"finish_reason":""}]}"#, "", "c", ""),
            (
                r#"{"type":"message","id":"msg_1","model":"claude","stop_reason":"end_turn"}"#,
                "claude",
                "msg_1",
                "end_turn",
            ),
            (r#"{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{}}"#, "", "", "tool_use"),
            ("[DONE]", "", "", ""),
        ] {
            assert_eq!(of(data), (model.to_owned(), id.to_owned(), reasons.to_owned()), "{data}");
        }
    }

    #[test]
    fn a_reply_may_be_empty_and_reasoning_is_kept() {
        let body = br#"{"model": "r1", "choices": [{"message": {"content": null, "reasoning_content": "hm"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": null}}"#;
        let read = reply(body).expect("a completion");
        let expected = Reply { content: String::new(), reasoning: Some("hm".to_owned()), model: Some("r1".to_owned()) };
        assert_eq!(read.answer, expected);
        let usage = read.usage.map(|reported| reported.usage);
        assert_eq!(usage, Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 }));
    }

    #[test]
    fn details_of_usage_are_read_under_either_name() {
        let of = |usage: &str| {
            let body = format!(r#"{{"choices": [{{}}], "usage": {usage}}}"#);
            check(body.as_bytes()).expect("a completion").usage.expect("reported").tokens
        };
        let openai = r#"{"prompt_tokens": 9, "completion_tokens": 8, "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 0}}"#;
        assert_eq!(of(openai), Tokens { prompt: 9, cached: 5, completion: 8, reasoning: 6, ..Tokens::default() });
        let deepseek = r#"{"prompt_tokens": 9, "completion_tokens": 8, "prompt_cache_hit_tokens": 5, "prompt_tokens_details": null}"#;
        assert_eq!(of(deepseek), Tokens { prompt: 9, cached: 5, completion: 8, ..Tokens::default() });
        for name in ["cache_creation_tokens", "cache_write_tokens"] {
            let written = format!(r#"{{"prompt_tokens": 9, "prompt_tokens_details": {{"{name}": 4}}}}"#);
            assert_eq!(of(&written), Tokens { prompt: 9, cache_written: 4, ..Tokens::default() });
        }
    }

    #[test]
    fn an_answer_says_at_which_tier_it_was_served() {
        let tier = |more: &str, usage: &str| {
            let body = format!(
                r#"{{"choices":[{{"message":{{"content":"x"}}}}],{more}"usage":{{"prompt_tokens":3{usage}}}}}"#
            );
            let (checked, read) = (check(body.as_bytes()), reply(body.as_bytes()));
            let tiers = (checked.expect("checked").usage, read.expect("read").usage);
            assert_eq!(tiers.0, tiers.1);
            tiers.0.expect("reported").tokens.tier
        };
        assert_eq!(tier(r#""service_tier":"priority","#, ""), Tier::Priority);
        assert_eq!(tier(r#""service_tier":"flex","#, ""), Tier::Flex);
        assert_eq!(tier(r#""service_tier":"default","#, ""), Tier::Standard);
        assert_eq!(tier(r#""service_tier":null,"#, r#","speed":"fast""#), Tier::Priority);
        assert_eq!(tier("", r#","speed":"standard""#), Tier::Standard);
    }

    #[test]
    fn reasoning_that_only_the_total_counts_was_written_too() {
        let of = |usage: &str| {
            let body = format!(r#"{{"choices": [{{}}], "usage": {usage}}}"#);
            let Reported { usage, tokens } = check(body.as_bytes()).expect("a completion").usage.expect("reported");
            (usage.completion_tokens, tokens.completion, tokens.reasoning, usage.total_tokens)
        };
        let xai = r#"{"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 399,
            "completion_tokens_details": {"reasoning_tokens": 386}}"#;
        assert_eq!(of(xai), (387, 387, 386, 399));
        let google = r#"{"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}"#;
        assert_eq!(of(google), (603, 603, 0, 623));
        let openai = r#"{"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17,
            "completion_tokens_details": {"reasoning_tokens": 6}}"#;
        assert_eq!(of(openai), (8, 8, 6, 17));
        let heard =
            r#"{"prompt_tokens": 4, "completion_tokens": 635, "total_tokens": 3264, "prompt_audio_seconds": 203}"#;
        assert_eq!(of(heard), (635, 635, 0, 3264), "what was heard is not written");
        let less = r#"{"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 3}"#;
        assert_eq!(of(less), (8, 8, 0, 3));
    }

    #[test]
    fn what_is_written_is_counted_where_nobody_says() {
        let body = br#"{"choices": [{"message": {"content": "one two three", "reasoning_content": "four"}}, {"message": {"content": null}}]}"#;
        assert_eq!(written(body), 4);
        assert_eq!(written(br#"{"choices": [{"text": "one two"}]}"#), 2);
        assert!(
            written(br#"{"choices": [{"message": {"tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}}]}"#)
                > 4
        );
        assert_eq!([written(b"<html>"), written(b"{}")], [0, 0]);
    }

    #[test]
    fn an_empty_usage_is_none_and_noughts_are_one() {
        let usage = |usage: &str| {
            let body = format!(r#"{{"choices": [{{}}], "usage": {usage}}}"#);
            check(body.as_bytes()).expect("a completion").usage.map(|reported| reported.tokens)
        };
        assert_eq!((usage("{}"), usage("null"), usage(r#"{"total_tokens": null}"#)), (None, None, None));
        assert_eq!(usage(r#"{"prompt_tokens": 0, "completion_tokens": 0}"#), Some(Tokens::default()));
    }

    #[test]
    fn what_the_provider_gave_up_is_told_from_what_ended() {
        for (reason, is_given_up) in [("stop", false), ("length", false), ("insufficient_system_resource", true)] {
            let body = format!(
                r#"{{"choices": [{{"finish_reason": "{reason}", "message": {{"content": "x"}}}}], "usage": {{"prompt_tokens": 3}}}}"#
            );
            let (checked, read) = (check(body.as_bytes()), reply(body.as_bytes()));
            assert_eq!(checked.map(|read| (read.is_given_up, read.usage.is_some())), Some((is_given_up, true)));
            assert_eq!(read.map(|read| read.is_given_up), Some(is_given_up), "{reason}");
        }
    }

    #[test]
    fn what_is_off_the_schema_is_no_answer() {
        for body in ["", "<html>", "{}", r#"{"choices": []}"#, r#"{"choices": "x"}"#, r#"{"choices": [{"message"#] {
            assert!(check(body.as_bytes()).is_none(), "{body}");
            assert!(reply(body.as_bytes()).is_none(), "{body}");
        }
        let no_message = br#"{"choices": [{"text": "an older API"}]}"#;
        assert!(check(no_message).is_some() && reply(no_message).is_none());
    }
}
