//! What operator and switch say to each other, and what switch shows of its providers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::chat::Usage;
use crate::error::ErrorBody;
use crate::intervention::Held;

/// `POST /switch/chat`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SwitchChatRequest {
    /// The conversation, oldest first; the last one is what is asked.
    #[schema(min_items = 1)]
    pub messages: Vec<Message>,
    /// The conversation's id.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub session_id: String,
    /// The request's id.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub correlation_id: String,
    /// Facts for the trail.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// One provider by name: no other is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// A model by its configured name; absent: `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Answer with [`SwitchFrame`]s as server-sent events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub content: String,
}

/// Who said a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Instructions.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
}

/// The answer of `POST /switch/chat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SwitchChatResponse {
    /// `ok`; failures are errors.
    pub status: String,
    /// The text.
    pub reply: String,
    /// The model that wrote it, as the provider knows it.
    pub engine_used: String,
    /// Milliseconds spent in switch and its providers.
    pub latency_ms: u64,
    /// The provider that answered.
    pub provider: String,
    /// Why the first choice did not answer, such as `timeout` or `http_503`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_reason: Option<String>,
    /// The model's reasoning, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Tokens spent, where the provider reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Every provider that was tried, in order; the last one answered.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// How one provider was tried: called, or passed over (`missing_api_key`, `circuit_open`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// The provider's configured name.
    pub provider: String,
    /// The model that was asked for.
    pub model: String,
    /// `success`, or what went wrong: `timeout`, `connect`, `http_<status>`, `missing_api_key`, `circuit_open` …
    pub outcome: String,
    /// Milliseconds it took.
    pub latency_ms: u64,
}

/// One frame of a streamed `POST /switch/chat`; the SSE `event:` field carries the variant's name.
///
/// A stream is any number of `token` and `reasoning`, then exactly one of `done` or `error`; or `held` alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SwitchFrame {
    /// More text.
    Token {
        /// To append to the answer.
        content: String,
    },
    /// More reasoning.
    Reasoning {
        /// To append to the reasoning.
        content: String,
    },
    /// The whole answer; its `reply` is what the tokens add up to.
    Done(SwitchChatResponse),
    /// The answer could not be finished; what was sent is incomplete.
    Error(ErrorBody),
    /// A rule holds the request for a person: the first and last frame.
    Held(Held),
}

impl SwitchFrame {
    /// The SSE event name.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Reasoning { .. } => "reasoning",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
            Self::Held(_) => "held",
        }
    }
}

/// One row of `GET /switch/providers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderInfo {
    /// The configured name.
    pub name: String,
    /// The wire it speaks, such as `openai`.
    pub kind: String,
    /// Where it is; user info and query are left out.
    pub base_url: String,
    /// Model names it serves; a trailing `*` stands for any ending.
    pub models: Vec<String>,
    /// Whether a key is present, absent or not needed: `present`, `missing`, `not_required`.
    pub key: String,
    /// Whether it can be asked.
    pub health: ProviderHealth,
    /// Every key by the variable that holds it; empty where none is needed or present.
    #[serde(default)]
    pub keys: Vec<KeyInfo>,
    /// The circuit breaker of its models that is in the worst state.
    pub breaker: BreakerInfo,
    /// Models that were asked: those that the configuration names, and of all others as many as are remembered.
    #[serde(default)]
    pub live: Vec<ModelInfo>,
    /// Calls at a time.
    pub concurrency: ConcurrencyInfo,
    /// Calls that wait for a place.
    pub queue: QueueInfo,
}

/// Whether a provider can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProviderHealth {
    /// With every key and every model.
    Up,
    /// With some of them.
    Degraded,
    /// Not now.
    Down,
}

/// How many calls a provider gets at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConcurrencyInfo {
    /// At most; it adapts to what the provider bears.
    pub limit: u32,
    /// Under way.
    pub in_flight: u32,
}

/// How many calls wait for a place at a provider, by priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueInfo {
    /// A person waits for them.
    pub interactive: usize,
    /// Nothing was said.
    pub normal: usize,
    /// Nobody waits for them.
    pub batch: usize,
}

/// One key of a provider, never the key itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct KeyInfo {
    /// The variable that holds it.
    pub variable: String,
    /// Whether it works.
    pub state: KeyHealth,
    /// Milliseconds until it is used again, where it will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// Whether a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyHealth {
    /// It is used.
    Alive,
    /// It is at the provider's limit for a while.
    Resting,
    /// The provider refused it.
    Dead,
}

/// One model at a provider, as it has been of late.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelInfo {
    /// What the provider is asked for. A pattern, or `other`, for names that there was no place to tell apart.
    pub model: String,
    /// Its circuit breaker.
    pub breaker: BreakerInfo,
    /// Milliseconds that an answer is expected to take to begin; 0 where nothing is known.
    pub latency_ms: u64,
    /// The part of the last calls that failed, 0 to 1.
    pub error_rate: f64,
}

/// `GET /switch/providers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProviderList {
    /// Those that are enabled, by name.
    pub providers: Vec<ProviderInfo>,
}

/// A circuit breaker as shown to people.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BreakerInfo {
    /// `closed`, `open` or `half_open`.
    pub state: BreakerState,
    /// Failures in a row.
    pub failure_count: u32,
    /// When it last failed, RFC 3339 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// The three states of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// One probe is under way.
    HalfOpen,
}

/// `GET /switch/usage`: what was asked and spent, in groups.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageReport {
    /// What the rows are grouped by: `key`, `org`, `model` or `day`.
    pub group_by: String,
    /// From this time on, RFC 3339 UTC; absent: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Until before this time, RFC 3339 UTC; absent: until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// One row a group, in the order of their names.
    pub rows: Vec<UsageRow>,
}

/// One group of [`UsageReport`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageRow {
    /// The key, organisation, model or day. Requests with the shared token are under the key `internal`, copies
    /// for shadow targets under the key `shadow`; what belongs to no organisation is under the empty name.
    pub group: String,
    /// Requests that were let in, answered or not.
    pub requests: u64,
    /// Tokens read, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens read from the provider's cache.
    pub cached_tokens: u64,
    /// Tokens put into the provider's cache.
    #[serde(default)]
    pub cache_written_tokens: u64,
    /// Tokens written, reasoning included.
    pub completion_tokens: u64,
    /// Tokens of reasoning.
    pub reasoning_tokens: u64,
    /// Requests whose tokens are in part an estimate, because a provider did not report them.
    pub estimated_requests: u64,
    /// Requests that were answered out of the gateway's cache, at no cost and with no tokens.
    #[serde(default)]
    pub cache_hits: u64,
    /// US dollars, as an exact decimal number.
    pub cost_usd: String,
}
