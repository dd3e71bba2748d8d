//! What was asked, whatever the wire: the one thing that answers depend on.

use serde_json::Value;

/// A conversation to be answered. Every wire's request becomes one, so that the same conversation gets the same
/// answer on every wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) messages: Vec<Message>,
    /// What the model may call.
    pub(crate) tools: Vec<Function>,
    pub(crate) tool_choice: ToolChoice,
    /// Where to stop.
    pub(crate) stop: Vec<String>,
    /// Most tokens of an answer, thinking included.
    pub(crate) limit: Option<u64>,
    /// Another seed, another answer.
    pub(crate) seed: i64,
    pub(crate) format: Format,
    /// Whether the model is to think first.
    pub(crate) thinks: bool,
    /// The beginning of the answer, which the caller has already.
    pub(crate) prefill: Option<String>,
}

/// One message; what is not text counts as nothing.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// `system`, `user`, `assistant`, `tool` for the result of a call, or whatever a caller of OpenAI's wire made up.
    pub(crate) role: String,
    pub(crate) text: String,
}

/// Something that the model may call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// A JSON schema.
    pub(crate) parameters: Value,
}

/// Whether the model is to call something.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum ToolChoice {
    /// Where the conversation asks for it.
    #[default]
    Auto,
    /// It must not.
    None,
    /// It must.
    Required,
    /// It must call this one.
    Named(String),
}

/// What the text is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Format {
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that fits a schema.
    Schema(Value),
}

impl Message {
    pub(crate) fn new(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self { role: role.into(), text: text.into() }
    }
}

impl Conversation {
    /// The last thing that the user said.
    pub(crate) fn asked(&self) -> &str {
        self.messages.iter().rev().find(|message| message.role == "user").map_or("", |message| &message.text)
    }

    /// Whether the last message is the model's own.
    pub(crate) fn ends_with_assistant(&self) -> bool {
        self.messages.last().is_some_and(|message| message.role == "assistant")
    }

    /// Takes the model's own last message as the beginning of the answer.
    pub(crate) fn accept_prefill(&mut self) {
        if self.ends_with_assistant() {
            self.prefill = self.messages.pop().map(|message| message.text);
        }
    }
}

/// The text of a `content` that is a string, or parts of which some have a `text`.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}
