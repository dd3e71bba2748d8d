//! The part of a `generateContent` request that the answer depends on. As everywhere in Google's APIs, a field can be
//! written in camel case or with underscores.

use serde::Deserialize;
use serde_json::Value;
use vx11_chassis::ApiError;

use super::super::{Asked, or_default};
use super::Gemini;
use crate::domain::conversation::{Conversation, Format, Function, Message, ToolChoice};

/// Most candidates of one request.
const MAX_CANDIDATES: u32 = 8;

/// `POST /v1beta/models/{model}:generateContent`. Fields that are not named here are accepted and ignored.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GenerateRequest {
    #[serde(default, deserialize_with = "or_default")]
    contents: Vec<Content>,
    #[serde(alias = "system_instruction")]
    system_instruction: Option<Content>,
    #[serde(default, deserialize_with = "or_default")]
    tools: Vec<Tool>,
    #[serde(default, alias = "tool_config")]
    tool_config: Value,
    #[serde(default, alias = "generation_config", deserialize_with = "or_default")]
    generation_config: GenerationConfig,
}

/// `POST /v1beta/models/{model}:countTokens`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CountRequest {
    #[serde(default, deserialize_with = "or_default")]
    contents: Vec<Content>,
    /// A whole request, in place of its contents.
    #[serde(alias = "generate_content_request")]
    generate_content_request: Option<GenerateRequest>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Content {
    /// `user` or `model`.
    role: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    thought: bool,
    #[serde(alias = "function_response")]
    function_response: Option<FunctionResponse>,
}

#[derive(Clone, Debug, Deserialize)]
struct FunctionResponse {
    #[serde(default)]
    response: Value,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tool {
    #[serde(default, alias = "function_declarations", deserialize_with = "or_default")]
    function_declarations: Vec<Declaration>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Declaration {
    name: String,
    #[serde(default, alias = "parametersJsonSchema", alias = "parameters_json_schema")]
    parameters: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    #[serde(alias = "candidate_count")]
    candidate_count: Option<u32>,
    #[serde(default, alias = "stop_sequences", deserialize_with = "or_default")]
    stop_sequences: Vec<String>,
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
    seed: Option<i64>,
    #[serde(alias = "response_mime_type")]
    response_mime_type: Option<String>,
    #[serde(default, alias = "response_schema", alias = "responseJsonSchema", alias = "response_json_schema")]
    response_schema: Value,
    #[serde(default, alias = "thinking_config", deserialize_with = "or_default")]
    thinking_config: ThinkingConfig,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ThinkingConfig {
    #[serde(default, alias = "include_thoughts", deserialize_with = "or_default")]
    include_thoughts: bool,
    #[serde(alias = "thinking_budget")]
    thinking_budget: Option<i64>,
    #[serde(alias = "thinking_level")]
    thinking_level: Option<String>,
}

impl GenerateRequest {
    /// What `model` is asked, and how the reply is to be written.
    ///
    /// # Errors
    /// When a field is out of its range.
    pub(crate) fn read(self, model: String, stream: bool, is_sse: bool) -> Result<(Gemini, Asked), ApiError> {
        if self.contents.is_empty() {
            return Err(ApiError::invalid_field("contents", "contents is not specified"));
        }
        let config = self.generation_config;
        let choices = config.candidate_count.unwrap_or(1);
        if !(1..=MAX_CANDIDATES).contains(&choices) {
            let range = format!("must be 1 to {MAX_CANDIDATES}");
            return Err(ApiError::invalid_field("generation_config.candidate_count", range));
        }
        if config.max_output_tokens == Some(0) {
            return Err(ApiError::invalid_field("generation_config.max_output_tokens", "must be positive"));
        }
        let thinking = &config.thinking_config;
        let system = self.system_instruction.map(|content| Message::new("system", content.text()));
        let functions = self.tools.into_iter().flat_map(|tool| tool.function_declarations);
        let conversation = Conversation {
            messages: system.into_iter().chain(self.contents.iter().flat_map(Content::read)).collect(),
            tools: functions
                .map(|function| Function { name: function.name, parameters: function.parameters })
                .collect(),
            tool_choice: tool_choice(&self.tool_config),
            limit: config.max_output_tokens,
            seed: config.seed.unwrap_or(0),
            thinks: thinking.asks(),
            format: config.format(),
            stop: config.stop_sequences,
            prefill: None,
        };
        let renderer = Gemini { is_sse, shows_thoughts: config.thinking_config.include_thoughts };
        Ok((renderer, Asked { model, conversation, stream, choices }))
    }
}

impl CountRequest {
    /// What would be asked.
    ///
    /// # Errors
    /// When nothing would be.
    pub(crate) fn prompt(self, model: String) -> Result<Asked, ApiError> {
        let contents = GenerateRequest { contents: self.contents, ..GenerateRequest::default() };
        let (_, asked) = self.generate_content_request.unwrap_or(contents).read(model, false, false)?;
        Ok(asked)
    }
}

impl Content {
    pub(super) fn text(&self) -> String {
        let said = self.parts.iter().filter(|part| !part.thought);
        said.filter_map(|part| part.text.as_deref()).collect::<Vec<_>>().join("\n")
    }

    /// The results of calls, each a message of its own, and the rest.
    fn read(&self) -> Vec<Message> {
        let results = self.parts.iter().filter_map(|part| part.function_response.as_ref());
        let mut messages: Vec<Message> = results.map(|result| Message::new("tool", result.text())).collect();
        if messages.is_empty() || self.parts.iter().any(|part| part.text.is_some()) {
            let role = if self.role.as_deref() == Some("model") { "assistant" } else { "user" };
            messages.push(Message::new(role, self.text()));
        }
        messages
    }
}

impl FunctionResponse {
    /// A result must be an object here; one that only wraps a text counts as that text.
    fn text(&self) -> String {
        let fields = self.response.as_object();
        let only = fields.filter(|fields| fields.len() == 1).and_then(|fields| fields.values().next());
        only.and_then(Value::as_str).map_or_else(|| self.response.to_string(), str::to_owned)
    }
}

impl GenerationConfig {
    fn format(&self) -> Format {
        match self.response_mime_type.as_deref() {
            Some("application/json") if self.response_schema.is_object() => {
                Format::Schema(self.response_schema.clone())
            }
            Some("application/json") => Format::Json,
            _ => Format::Text,
        }
    }
}

impl ThinkingConfig {
    /// Whether the model is to think first.
    fn asks(&self) -> bool {
        self.thinking_budget != Some(0)
            && (self.include_thoughts || self.thinking_budget.is_some() || self.thinking_level.is_some())
    }
}

fn tool_choice(config: &Value) -> ToolChoice {
    let field = |value: &Value, camel: &str, snake: &str| value.get(camel).or_else(|| value.get(snake)).cloned();
    let calling = field(config, "functionCallingConfig", "function_calling_config").unwrap_or_default();
    let allowed = field(&calling, "allowedFunctionNames", "allowed_function_names").unwrap_or_default();
    match (calling["mode"].as_str(), allowed[0].as_str()) {
        (Some("ANY"), Some(name)) => ToolChoice::Named(name.to_owned()),
        (Some("ANY"), None) => ToolChoice::Required,
        (Some("NONE"), _) => ToolChoice::None,
        _ => ToolChoice::Auto,
    }
}
