//! The part of a chat request that the answer depends on.

use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use vx11_chassis::ApiError;

use super::super::{Asked, or_default};
use super::OpenAi;
use crate::domain::conversation::{self, Conversation, Format, ToolChoice, text_of};

/// Most choices of one request.
const MAX_CHOICES: u32 = 16;

/// `POST /v1/chat/completions`. Fields that are not named here are accepted and ignored.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// A model, with faults behind a `+`.
    model: String,
    /// The conversation.
    messages: Vec<Message>,
    /// Answer as server-sent events.
    #[serde(default, deserialize_with = "or_default")]
    stream: bool,
    #[serde(default, deserialize_with = "or_default")]
    stream_options: StreamOptions,
    /// How many answers, 1 to 16.
    n: Option<u32>,
    /// Where to stop.
    #[serde(default)]
    stop: Stop,
    /// Most tokens of an answer.
    max_tokens: Option<u64>,
    /// The newer name of `max_tokens`.
    max_completion_tokens: Option<u64>,
    /// What the model may call.
    #[serde(default, deserialize_with = "or_default")]
    tools: Vec<Tool>,
    /// `auto`, `none`, `required`, or one function.
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Value>,
    /// Another seed, another answer.
    seed: Option<i64>,
    /// The model thinks first, unless this is `none`.
    reasoning_effort: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    response_format: ResponseFormat,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Message {
    role: String,
    /// Text, or parts.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    content: Value,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// End the stream with a chunk that has the usage.
    #[serde(default, deserialize_with = "or_default")]
    include_usage: bool,
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
    function: Function,
}

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct Function {
    name: String,
    /// A JSON schema.
    #[serde(default)]
    #[schema(value_type = Object)]
    parameters: Value,
}

#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct ResponseFormat {
    /// `text`, `json_object` or `json_schema`.
    #[serde(rename = "type", default)]
    kind: String,
    #[schema(value_type = Option<Object>)]
    json_schema: Option<Value>,
}

impl ChatRequest {
    /// What is asked, and how the reply is to be written.
    ///
    /// # Errors
    /// When a field is out of its range.
    pub(crate) fn read(self) -> Result<(OpenAi, Asked), ApiError> {
        let choices = self.n.unwrap_or(1);
        if !(1..=MAX_CHOICES).contains(&choices) {
            return Err(ApiError::invalid_field("n", format!("Invalid 'n': must be 1 to {MAX_CHOICES}.")));
        }
        if self.messages.is_empty() {
            return Err(ApiError::invalid_field("messages", "Invalid 'messages': expected at least one message."));
        }
        let limit = self.max_completion_tokens.or(self.max_tokens);
        if limit == Some(0) {
            return Err(ApiError::invalid_field("max_tokens", "Invalid 'max_tokens': must be at least 1."));
        }
        let conversation = Conversation {
            messages: self.messages.iter().map(Message::read).collect(),
            tools: self.tools.into_iter().map(Tool::read).collect(),
            tool_choice: tool_choice(self.tool_choice.as_ref()),
            stop: self.stop.sequences(),
            limit,
            seed: self.seed.unwrap_or(0),
            format: self.response_format.read(),
            thinks: self.reasoning_effort.is_some_and(|effort| effort != "none"),
            prefill: None,
        };
        let renderer = OpenAi { include_usage: self.stream_options.include_usage, at_azure: false };
        Ok((renderer, Asked { model: self.model, conversation, stream: self.stream, choices }))
    }
}

impl Message {
    fn read(&self) -> conversation::Message {
        let role = match self.role.as_str() {
            "developer" => "system",
            "function" => "tool",
            other => other,
        };
        conversation::Message::new(role, text_of(&self.content))
    }
}

impl Tool {
    fn read(self) -> conversation::Function {
        conversation::Function { name: self.function.name, parameters: self.function.parameters }
    }
}

impl Stop {
    fn sequences(self) -> Vec<String> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![one],
            Self::Many(many) => many,
        }
    }
}

impl ResponseFormat {
    fn read(self) -> Format {
        let schema = self.json_schema.as_ref().map_or(Value::Null, |format| format["schema"].clone());
        match self.kind.as_str() {
            "json_schema" | "json_object" if schema.is_object() => Format::Schema(schema),
            "json_schema" | "json_object" => Format::Json,
            _ => Format::Text,
        }
    }
}

fn tool_choice(choice: Option<&Value>) -> ToolChoice {
    let Some(choice) = choice else { return ToolChoice::Auto };
    match (choice["function"]["name"].as_str(), choice.as_str()) {
        (Some(name), _) => ToolChoice::Named(name.to_owned()),
        (None, Some("none")) => ToolChoice::None,
        (None, Some("required")) => ToolChoice::Required,
        _ => ToolChoice::Auto,
    }
}
