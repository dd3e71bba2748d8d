//! The part of a chat request that the answer depends on.

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

/// `POST /v1/chat/completions`. Fields that are not named here are accepted and ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// A model, with faults behind a `+`.
    pub(crate) model: String,
    /// The conversation.
    pub(crate) messages: Vec<Message>,
    /// Answer as server-sent events.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) stream: bool,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) stream_options: StreamOptions,
    /// How many answers, 1 to 16.
    pub(crate) n: Option<u32>,
    /// Where to stop.
    #[serde(default)]
    pub(crate) stop: Stop,
    /// Most tokens of an answer.
    pub(crate) max_tokens: Option<u64>,
    /// The newer name of `max_tokens`.
    pub(crate) max_completion_tokens: Option<u64>,
    /// What the model may call.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) tools: Vec<Tool>,
    /// `auto`, `none`, `required`, or one function.
    #[schema(value_type = Option<Object>)]
    pub(crate) tool_choice: Option<Value>,
    /// Another seed, another answer.
    pub(crate) seed: Option<i64>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) response_format: ResponseFormat,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) role: String,
    /// Text, or parts.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) content: Value,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// End the stream with a chunk that has the usage.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) include_usage: bool,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Stop {
    #[default]
    None,
    One(String),
    Many(Vec<String>),
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Tool {
    pub(crate) function: Function,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// A JSON schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub(crate) parameters: Value,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type", default)]
    pub(crate) kind: String,
    #[schema(value_type = Option<Object>)]
    pub(crate) json_schema: Option<Value>,
}

/// Libraries write out a field that was not given as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

impl Message {
    /// The text, parts joined; what is not text counts as nothing.
    pub(crate) fn text(&self) -> String {
        match &self.content {
            Value::String(text) => text.clone(),
            Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
            _ => String::new(),
        }
    }
}

impl Stop {
    /// The sequences.
    pub(crate) fn sequences(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl ChatRequest {
    /// The last thing that the user said.
    pub(crate) fn last_user_text(&self) -> String {
        self.messages.iter().rev().find(|message| message.role == "user").map(Message::text).unwrap_or_default()
    }

    /// Most tokens of an answer, where the request says so.
    pub(crate) fn token_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}
