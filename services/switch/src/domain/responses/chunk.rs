//! What a chat completion says, whole or chunk by chunk: both are read alike, the whole one as a single chunk.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use vx11_contracts::chat;

use crate::accounts::Usd;
use crate::domain::reported::{Reported, ReportedUsage};

/// A chunk, or a whole completion.
#[derive(Deserialize)]
pub(super) struct Chunk {
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<ReportedUsage>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(alias = "message")]
    pub(super) delta: Option<Delta>,
    pub(super) logprobs: Option<Logprobs>,
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Logprobs {
    pub(super) content: Option<Vec<Box<RawValue>>>,
}

#[derive(Deserialize)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
    pub(super) reasoning_content: Option<String>,
    /// The other name that servers have for it; some send both.
    pub(super) reasoning: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) tool_calls: Option<Vec<ToolDelta>>,
}

#[derive(Deserialize)]
pub(super) struct ToolDelta {
    /// Which call it is a part of; in a whole answer its place says so.
    pub(super) index: Option<usize>,
    pub(super) id: Option<String>,
    pub(super) function: Option<FunctionDelta>,
    /// In place of a function: a tool that takes any text.
    pub(super) custom: Option<CustomDelta>,
    #[serde(default)]
    extra_content: Value,
}

impl ToolDelta {
    /// Whether it begins another call than the one with the id `known` at the same index: it has a name and an id of
    /// its own.
    pub(super) fn begins_another(&self, known: &str) -> bool {
        let is_named = self.name().is_some_and(|name| !name.is_empty());
        is_named && !known.is_empty() && self.id.as_deref().is_some_and(|id| !id.is_empty() && id != known)
    }

    /// What is called, where this part says it.
    pub(super) fn name(&self) -> Option<&str> {
        let custom = || self.custom.as_ref().and_then(|custom| custom.name.as_deref());
        self.function.as_ref().and_then(|function| function.name.as_deref()).or_else(custom)
    }

    /// More of what it is called with.
    pub(super) fn take_more(&mut self) -> String {
        let custom = self.custom.as_mut().and_then(|custom| custom.input.take());
        self.function.as_mut().and_then(|function| function.arguments.take()).or(custom).unwrap_or_default()
    }

    /// The signature that some providers want back with the call, where Google's own OpenAI endpoint has it.
    pub(super) fn thought_signature(&self) -> Option<&str> {
        self.extra_content["google"]["thought_signature"].as_str().filter(|signature| !signature.is_empty())
    }
}

#[derive(Deserialize)]
pub(super) struct FunctionDelta {
    pub(super) name: Option<String>,
    pub(super) arguments: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct CustomDelta {
    pub(super) name: Option<String>,
    pub(super) input: Option<String>,
}

/// What was spent, as a response reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
    /// Dollars, of a stream, once it has ended: the head of a whole answer tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<Usd>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl Usage {
    /// The same, of an answer that has cost that much.
    pub(super) fn costing(self, cost: Usd) -> Self {
        Self { cost: Some(cost), ..self }
    }

    /// All that an estimate says.
    pub(super) fn estimated(chat::Usage { prompt_tokens, completion_tokens, total_tokens }: chat::Usage) -> Self {
        Self {
            input_tokens: prompt_tokens,
            input_tokens_details: InputDetails { cached_tokens: 0, cache_write_tokens: 0 },
            output_tokens: completion_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: 0 },
            total_tokens,
            cost: None,
        }
    }
}

impl From<Reported> for Usage {
    fn from(Reported { usage, tokens, .. }: Reported) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: tokens.cached,
                cache_write_tokens: tokens.cache_written,
            },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: tokens.reasoning },
            total_tokens: usage.total_tokens,
            cost: None,
        }
    }
}
