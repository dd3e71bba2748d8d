//! What providers report of the tokens that a call has taken, in all the names that they have for it.

use serde::Deserialize;
use serde::de::IgnoredAny;
use vx11_contracts::chat::Usage;

use crate::accounts::{Tier, Tokens};

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
    /// What the provider is paid for it, which aggregators say.
    cost: Option<IgnoredAny>,
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
    /// Whether it says a cost: the provider's own, which is not the caller's.
    pub(crate) has_cost: bool,
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
        let has_cost = reported.cost.is_some();
        Self { usage: Usage { prompt_tokens, completion_tokens, total_tokens }, tokens, has_cost }
    }
}
