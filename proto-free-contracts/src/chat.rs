//! `POST /operator/api/chat`: what an application asks, what it is answered, and the frames of the streamed form.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::ErrorBody;
use crate::intervention::Held;

/// Longest accepted `session_id` and `correlation_id`, in characters.
pub const MAX_ID_CHARS: usize = 128;

/// A chat message for the operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    /// What the person said: 1 to 4000 characters (the limit is configurable), not only white space.
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    pub message: String,
    /// The conversation to continue; made where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub session_id: Option<String>,
    /// Overrides the `x-correlation-id` header; made where both are absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub correlation_id: Option<String>,
    /// Facts for the engine that answers.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub context: Map<String, Value>,
    /// Facts for the trail; kept with the turn, never interpreted.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// `switch` (the default: any provider), `madre`, or the name of one provider behind the switch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Ask for server-sent events; `Accept: text/event-stream` asks for the same.
    #[serde(default)]
    pub stream: bool,
}

/// The answer, flat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChatResponse {
    /// The text.
    pub response: String,
    /// The model that wrote it, as its provider knows it.
    pub model_used: String,
    /// Milliseconds from the request's arrival to the answer.
    pub latency_ms: u64,
    /// The request's id in logs, traces and the audit trail.
    pub correlation_id: String,
    /// The conversation.
    pub session_id: String,
    /// `switch` or `madre`.
    pub provider: ChatProvider,
    /// How far the engine got; `DONE` for a plain answer, `WAITING` when madre's plan needs a confirmation.
    pub status: ChatStatus,
    /// Whether the answer came from a fallback.
    pub degraded: bool,
    /// Why a fallback answered, such as `switch_unhealthy`, `timeout` or `http_503`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_source: Option<String>,
    /// `true` when the answer is a repetition from the answer cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_hit: Option<bool>,
    /// The model's reasoning, where it gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<String>,
    /// Tokens spent, where the provider reported them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// madre's plan, when the request became one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_id: Option<String>,
    /// What `POST /madre/plans/{plan_id}/confirm` needs; only with `WAITING`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_token: Option<String>,
    /// Absent when the answer's rows are on disk, as they are unless the database cannot be written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
}

/// Where the rows of an answer are that are not on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// In memory, until the database can be written.
    Deferred,
}

impl Storage {
    /// The name as it stands on the wire, here and in the header [`crate::headers::STORAGE`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deferred => "deferred",
        }
    }
}

/// Who answered a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatProvider {
    /// A provider behind the switch.
    Switch,
    /// madre's own engine.
    Madre,
}

impl ChatProvider {
    /// The name as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Madre => "madre",
        }
    }
}

/// How far the work behind an answer got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum ChatStatus {
    /// Accepted, not begun.
    Pending,
    /// Under way.
    Running,
    /// Waits for a person's confirmation.
    Waiting,
    /// Finished.
    Done,
    /// Failed.
    Error,
}

impl ChatStatus {
    /// The name as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Waiting => "WAITING",
            Self::Done => "DONE",
            Self::Error => "ERROR",
        }
    }
}

/// Tokens as the provider counted them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Their sum.
    pub total_tokens: u64,
}

/// One frame of a streamed chat. The SSE `event:` field carries the variant's name, `data:` its JSON.
///
/// A stream is `start`, any number of `token`, then exactly one of `done` or `error`. A `fallback` in between says that
/// the provider broke off: the text so far is void, and the tokens after it are madre's answer from its beginning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ChatFrame {
    /// The request was accepted.
    Start {
        /// The request's id.
        correlation_id: String,
        /// The conversation.
        session_id: String,
    },
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
    /// What was sent so far is void.
    Fallback {
        /// Why the provider's answer was given up.
        reason: String,
    },
    /// The whole answer; its `response` is what the tokens add up to, and its `storage` tells whether it is on disk.
    Done(ChatResponse),
    /// Nothing could answer.
    Error(ErrorBody),
    /// A rule of the gateway holds the request for a person: the last frame, after `start` alone.
    Held(Held),
}

impl ChatFrame {
    /// The SSE event name.
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Token { .. } => "token",
            Self::Reasoning { .. } => "reasoning",
            Self::Fallback { .. } => "fallback",
            Self::Done(_) => "done",
            Self::Error(_) => "error",
            Self::Held(_) => "held",
        }
    }
}
