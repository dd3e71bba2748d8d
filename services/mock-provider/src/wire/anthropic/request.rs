//! The part of a messages request that the answer depends on.

use actix_web::HttpRequest;
use serde::Deserialize;
use serde_json::Value;
use vx11_chassis::ApiError;

use super::super::{Asked, Refusal, or_default};
use super::Anthropic;
use crate::domain::conversation::{Conversation, Format, Function, Message, ToolChoice, text_of};

/// The versions that there are.
const VERSIONS: [&str; 2] = ["2023-01-01", "2023-06-01"];

/// `POST /v1/messages`. Fields that are not named here are accepted and ignored.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct MessagesRequest {
    model: String,
    messages: Vec<Said>,
    max_tokens: Option<u64>,
    #[serde(default)]
    system: Value,
    #[serde(default, deserialize_with = "or_default")]
    stream: bool,
    #[serde(default, deserialize_with = "or_default")]
    stop_sequences: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    tools: Vec<Tool>,
    #[serde(default)]
    tool_choice: Value,
    #[serde(default)]
    thinking: Value,
    #[serde(default)]
    output_config: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct Said {
    role: Role,
    /// A string, or blocks.
    content: Value,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
}

#[derive(Clone, Debug, Deserialize)]
struct Tool {
    name: String,
    #[serde(default)]
    input_schema: Value,
}

/// Checks the header without which nothing is answered.
pub(crate) fn check_version(http: &HttpRequest) -> Result<(), Refusal> {
    let sent = http.headers().get("anthropic-version").map(|value| value.to_str().unwrap_or("?"));
    match sent {
        Some(version) if VERSIONS.contains(&version) => Ok(()),
        other => Err(Refusal::NoVersion(other.map(str::to_owned))),
    }
}

impl MessagesRequest {
    /// What is asked, and how the reply is to be written.
    ///
    /// # Errors
    /// When a field is missing or out of its range.
    pub(crate) fn read(self) -> Result<(Anthropic, Asked), ApiError> {
        match self.max_tokens {
            None => Err(ApiError::invalid_field("max_tokens", "Field required")),
            Some(0) => Err(ApiError::invalid_field("max_tokens", "Input should be greater than or equal to 1")),
            Some(_) => Ok((Anthropic, self.prompt()?)),
        }
    }

    /// What is asked where only its tokens are counted.
    ///
    /// # Errors
    /// When a message says nothing.
    pub(crate) fn prompt(self) -> Result<Asked, ApiError> {
        check(&self.messages)?;
        let system = text_of(&self.system);
        let system = (!self.system.is_null()).then(|| Message::new("system", system));
        let function = |tool: Tool| Function { name: tool.name, parameters: tool.input_schema };
        let conversation = Conversation {
            messages: system.into_iter().chain(self.messages.iter().flat_map(Said::read)).collect(),
            tools: self.tools.into_iter().map(function).collect(),
            tool_choice: tool_choice(&self.tool_choice),
            stop: self.stop_sequences,
            limit: self.max_tokens,
            format: match &self.output_config["format"]["schema"] {
                schema if schema.is_object() => Format::Schema(schema.clone()),
                _ => Format::Text,
            },
            thinks: self.thinking["type"].as_str().is_some_and(|kind| kind != "disabled"),
            ..Conversation::default()
        };
        Ok(Asked { model: self.model, conversation, stream: self.stream, choices: 1 })
    }
}

fn check(messages: &[Said]) -> Result<(), ApiError> {
    if messages.is_empty() {
        return Err(ApiError::invalid_field("messages", "at least one message is required"));
    }
    let is_empty = |said: &Said| match &said.content {
        Value::String(text) => text.is_empty(),
        Value::Array(blocks) => blocks.is_empty(),
        _ => true,
    };
    let last = messages.len() - 1;
    let ends_in_space = text_of(&messages[last].content).ends_with(char::is_whitespace);
    if matches!(messages[last].role, Role::Assistant) && ends_in_space {
        let message = "final assistant content cannot end with trailing whitespace";
        return Err(ApiError::invalid_field("messages", message));
    }
    let may_be_empty = |at: usize| at == last && matches!(messages[at].role, Role::Assistant);
    match messages.iter().enumerate().find(|(at, said)| is_empty(said) && !may_be_empty(*at)) {
        Some((at, _)) => Err(ApiError::invalid_field(
            format!("messages.{at}"),
            "all messages must have non-empty content except for the optional final assistant message",
        )),
        None => Ok(()),
    }
}

impl Said {
    /// The results of calls, each a message of its own, and the rest.
    fn read(&self) -> Vec<Message> {
        let role = match self.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let blocks = self.content.as_array().map(Vec::as_slice).unwrap_or_default();
        let (results, rest): (Vec<&Value>, Vec<&Value>) = blocks.iter().partition(|b| b["type"] == "tool_result");
        let mut messages: Vec<Message> =
            results.iter().map(|result| Message::new("tool", text_of(&result["content"]))).collect();
        if messages.is_empty() || !rest.is_empty() {
            messages.push(Message::new(role, text_of(&self.content)));
        }
        messages
    }
}

fn tool_choice(choice: &Value) -> ToolChoice {
    match (choice["type"].as_str(), choice["name"].as_str()) {
        (Some("tool"), Some(name)) => ToolChoice::Named(name.to_owned()),
        (Some("any"), _) => ToolChoice::Required,
        (Some("none"), _) => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}
