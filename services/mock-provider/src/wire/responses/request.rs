//! The part of a request for a response that the answer depends on.

use serde::Deserialize;
use serde_json::Value;
use vx11_chassis::ApiError;

use super::super::{Asked, or_default};
use super::Responses;
use crate::domain::conversation::{Conversation, Format, Function, Message, ToolChoice, text_of};

/// `POST /v1/responses`. Fields that are not named here are accepted and ignored; nothing is stored.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct ResponsesRequest {
    model: String,
    #[serde(default)]
    input: Value,
    instructions: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    stream: bool,
    max_output_tokens: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    tools: Vec<Tool>,
    #[serde(default)]
    tool_choice: Value,
    #[serde(default)]
    reasoning: Value,
    #[serde(default)]
    text: Value,
}

#[derive(Clone, Debug, Deserialize)]
struct Tool {
    /// Absent in a tool that runs at the provider.
    name: Option<String>,
    #[serde(default)]
    parameters: Value,
}

impl ResponsesRequest {
    /// What is asked, and how the reply is to be written.
    ///
    /// # Errors
    /// When there is no input, or the limit is out of its range.
    pub(crate) fn read(self) -> Result<(Responses, Asked), ApiError> {
        if self.max_output_tokens == Some(0) {
            return Err(ApiError::invalid_field(
                "max_output_tokens",
                "Invalid 'max_output_tokens': must be at least 1.",
            ));
        }
        let said = match &self.input {
            Value::String(text) => vec![Message::new("user", text)],
            Value::Array(items) => items.iter().filter_map(message).collect(),
            _ => Vec::new(),
        };
        if said.is_empty() {
            return Err(ApiError::invalid_field("input", "Missing required parameter: 'input'."));
        }
        let instructions = self.instructions.map(|text| Message::new("system", text));
        let function = |tool: Tool| Some(Function { name: tool.name?, parameters: tool.parameters });
        let conversation = Conversation {
            messages: instructions.into_iter().chain(said).collect(),
            tools: self.tools.into_iter().filter_map(function).collect(),
            tool_choice: tool_choice(&self.tool_choice),
            limit: self.max_output_tokens,
            format: format(&self.text["format"]),
            thinks: self.reasoning["effort"].as_str().is_some_and(|effort| effort != "none"),
            ..Conversation::default()
        };
        Ok((Responses, Asked { model: self.model, conversation, stream: self.stream, choices: 1 }))
    }
}

/// What an item says; a call and what was thought before it say nothing.
fn message(item: &Value) -> Option<Message> {
    match (item["type"].as_str(), item["role"].as_str()) {
        (None | Some("message"), Some(role)) => {
            let role = if role == "developer" { "system" } else { role };
            Some(Message::new(role, text_of(&item["content"])))
        }
        (Some("function_call_output"), _) => Some(Message::new("tool", text_of(&item["output"]))),
        _ => None,
    }
}

fn tool_choice(choice: &Value) -> ToolChoice {
    match (choice["name"].as_str(), choice.as_str()) {
        (Some(name), _) => ToolChoice::Named(name.to_owned()),
        (None, Some("none")) => ToolChoice::None,
        (None, Some("required")) => ToolChoice::Required,
        _ => ToolChoice::Auto,
    }
}

fn format(format: &Value) -> Format {
    match format["type"].as_str() {
        Some("json_schema") if format["schema"].is_object() => Format::Schema(format["schema"].clone()),
        Some("json_schema" | "json_object") => Format::Json,
        _ => Format::Text,
    }
}
