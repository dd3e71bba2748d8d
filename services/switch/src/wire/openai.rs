//! Writing the pivot: chunks, whole completions and usage as OpenAI's clients read them.
//!
//! Source: OpenAI's API reference, "Chat" and "Streaming".

use serde::Deserialize;
use serde_json::{Value, json};
use vx11_contracts::chat;

use super::json::{Object, get, said};
use crate::accounts::{SoFar, Tier, Tokens};
use crate::domain::reported::ReportedUsage;

/// What one event of another wire means in the pivot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// The payload of a chunk.
    Chunk(Value),
    /// A part of the answer for which the pivot has no words, such as the input of a tool that runs at the provider.
    Unsaid,
    /// The provider says that nothing follows.
    Done,
}

/// What all chunks of one answer have in common.
#[derive(Clone, Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    /// Unix seconds.
    pub(super) created: u64,
}

impl Head {
    /// A chunk that adds to choice `index`.
    pub(super) fn delta(&self, index: u64, delta: Value) -> Piece {
        self.chunk(json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": null}]), None)
    }

    /// The chunks that end choice `index`, and say what was spent where the provider does.
    pub(super) fn finish(&self, index: u64, reason: &str, usage: Option<Usage>) -> Vec<Piece> {
        let choices = json!([{"index": index, "delta": {}, "logprobs": null, "finish_reason": reason}]);
        let end = self.chunk(choices, None);
        [end].into_iter().chain(usage.map(|usage| self.usage(usage))).collect()
    }

    /// The chunk that says what was spent.
    pub(super) fn usage(&self, usage: Usage) -> Piece {
        self.chunk(json!([]), Some(usage.write()))
    }

    /// A whole completion; it says what was spent where the provider does.
    pub(super) fn completion(&self, choices: Vec<Value>, usage: Option<Usage>) -> Value {
        let Self { id, model, created } = self;
        let mut completion =
            json!({"id": id, "object": "chat.completion", "created": created, "model": model, "choices": choices});
        if let Some(usage) = usage {
            completion["usage"] = usage.write();
        }
        completion
    }

    fn chunk(&self, choices: Value, usage: Option<Value>) -> Piece {
        let Self { id, model, created } = self;
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model, "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        Piece::Chunk(chunk)
    }
}

/// One choice of a whole completion.
pub(super) fn choice(index: u64, message: Object, finish_reason: &str) -> Value {
    json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason})
}

/// The message of a choice: what the model wrote, thought and called for. Calls without a text have no content.
pub(super) fn message(content: String, reasoning: String, calls: Vec<Value>) -> Object {
    let is_silent = content.is_empty() && !calls.is_empty();
    let mut message = Object::new();
    message.insert("role".to_owned(), "assistant".into());
    message.insert("content".to_owned(), if is_silent { Value::Null } else { content.into() });
    message.insert("refusal".to_owned(), Value::Null);
    if !reasoning.is_empty() {
        message.insert("reasoning_content".to_owned(), reasoning.into());
    }
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    message
}

/// A tool call, whole.
pub(super) fn tool_call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// The signature that some providers want back with a tool call, where Google's own OpenAI endpoint has it.
pub(crate) fn thought_signature(call: &Value) -> Option<&str> {
    said(get(get(call, "extra_content")?, "google")?, "thought_signature")
}

/// What was spent, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// All of the prompt, whether it was cached or not.
    pub(super) prompt: u64,
    /// Of the prompt, what came from the provider's cache.
    pub(super) cached: u64,
    /// Of the prompt, what was written to the provider's cache.
    pub(super) cache_written: u64,
    /// Of that, what is kept there for an hour.
    pub(super) cache_written_1h: u64,
    /// All that was generated.
    pub(super) completion: u64,
    /// Of that, what was reasoning.
    pub(super) reasoning: u64,
    /// How urgently it was served.
    pub(super) tier: Tier,
}

impl Usage {
    /// Reads `usage` of a completion or a chunk, as it is billed; `None` where it says nothing.
    pub(super) fn read(usage: &Value) -> Option<Self> {
        let reported = ReportedUsage::deserialize(usage).ok()?.reported()?;
        let Tokens { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier } = reported.tokens;
        Some(Self { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier })
    }

    /// What several calls have spent together; how urgently each was served is of one alone.
    pub(super) fn sum(tokens: Tokens) -> Self {
        let Tokens { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier: _ } = tokens;
        Self { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier: Tier::Standard }
    }

    /// All that an estimate says.
    pub(super) fn estimated(estimate: chat::Usage) -> Self {
        Self { prompt: estimate.prompt_tokens, completion: estimate.completion_tokens, ..Self::default() }
    }

    /// The same before the answer is whole, where something was said: gateways send noughts until then.
    pub(super) fn so_far(self, counts_written: bool) -> Option<SoFar> {
        let Self { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier } = self;
        let tokens = Tokens { prompt, cached, cache_written, cache_written_1h, completion, reasoning, tier };
        (prompt > 0).then_some(SoFar { tokens, counts_written })
    }

    /// As OpenAI's wire has it. Tokens written to a cache have no place there; they get the name that gateways use.
    pub(super) fn write(self) -> Value {
        let mut details = json!({"cached_tokens": self.cached});
        if self.cache_written > 0 {
            details["cache_creation_tokens"] = self.cache_written.into();
        }
        if self.cache_written_1h > 0 {
            details["cache_creation_token_details"] = json!({"ephemeral_1h_input_tokens": self.cache_written_1h});
        }
        let mut usage = json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt.saturating_add(self.completion),
            "prompt_tokens_details": details,
        });
        if self.reasoning > 0 {
            usage["completion_tokens_details"] = json!({"reasoning_tokens": self.reasoning});
        }
        if self.tier == Tier::Priority {
            usage["speed"] = "fast".into();
        }
        usage
    }
}
