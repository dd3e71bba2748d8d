//! The items of a response's output, as they grow.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::fields::{Fields, field, read};

/// How far an item, or the response, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
    Failed,
}

/// One item.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning {
        id: String,
        status: Status,
        summary: [(); 0],
        content: Vec<Part>,
        /// Comes back along with the item: it keeps what the server calls it.
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<&'static str>,
    },
    Message {
        id: String,
        status: Status,
        role: &'static str,
        content: Vec<Part>,
        /// What else the provider says of it that began it.
        #[serde(flatten)]
        more: Fields,
    },
    FunctionCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        arguments: String,
    },
    CustomToolCall {
        id: String,
        status: Status,
        call_id: String,
        name: String,
        input: String,
    },
    /// One that another provider has told to its end, as that came.
    #[serde(untagged)]
    Passed(Box<RawValue>),
}

/// A part of an item.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Part {
    OutputText {
        text: String,
        annotations: [(); 0],
        logprobs: Vec<Box<RawValue>>,
    },
    Refusal {
        refusal: String,
    },
    ReasoningText {
        text: String,
    },
    /// One that another provider has told to its end, as that came.
    #[serde(untagged)]
    Passed(Box<RawValue>),
}

/// What a part is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartKind {
    Text,
    Refusal,
    Reasoning(Reasoning),
}

/// What the server calls its reasoning: some want it back, and each knows its own name only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// `reasoning_content`
    Content,
    /// `reasoning`
    Plain,
}

impl Reasoning {
    /// What an item says that holds it.
    pub(super) const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Content => None,
            Self::Plain => Some("reasoning"),
        }
    }
}

impl Item {
    pub(super) fn reasoning(id: String, name: Reasoning) -> Self {
        let encrypted_content = name.mark();
        Self::Reasoning { id, status: Status::InProgress, summary: [], content: Vec::new(), encrypted_content }
    }

    pub(super) fn message(id: String) -> Self {
        Self::Message { id, status: Status::InProgress, role: "assistant", content: Vec::new(), more: Fields::new() }
    }

    pub(super) fn function_call(id: String, call_id: String, name: String) -> Self {
        Self::FunctionCall { id, status: Status::InProgress, call_id, name, arguments: String::new() }
    }

    pub(super) fn custom_tool_call(id: String, call_id: String, name: String) -> Self {
        Self::CustomToolCall { id, status: Status::InProgress, call_id, name, input: String::new() }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Self::Reasoning { id, .. }
            | Self::Message { id, .. }
            | Self::FunctionCall { id, .. }
            | Self::CustomToolCall { id, .. } => id,
            // Nothing more is told of it.
            Self::Passed(_) => "",
        }
    }

    pub(super) fn status(&self) -> Status {
        match self {
            Self::Reasoning { status, .. }
            | Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::CustomToolCall { status, .. } => *status,
            Self::Passed(_) => Status::Completed,
        }
    }

    /// Whether it is no part of the answer, but of the way to it.
    pub(super) fn is_reasoning(&self) -> bool {
        match self {
            Self::Reasoning { .. } => true,
            Self::Message { .. } | Self::FunctionCall { .. } | Self::CustomToolCall { .. } => false,
            Self::Passed(item) => {
                let fields: Fields = serde_json::from_str(item.get()).unwrap_or_default();
                read::<&str>(field(&fields, "type")) == Some("reasoning")
            }
        }
    }

    pub(super) fn set_status(&mut self, new: Status) {
        match self {
            Self::Reasoning { status, .. }
            | Self::Message { status, .. }
            | Self::FunctionCall { status, .. }
            | Self::CustomToolCall { status, .. } => {
                *status = new;
            }
            Self::Passed(_) => {}
        }
    }

    /// Its parts; a call has none.
    pub(super) fn parts(&self) -> &[Part] {
        match self {
            Self::Reasoning { content, .. } | Self::Message { content, .. } => content,
            Self::FunctionCall { .. } | Self::CustomToolCall { .. } | Self::Passed(_) => &[],
        }
    }

    /// Its parts, to grow; a call has none.
    pub(super) fn parts_mut(&mut self) -> Option<&mut Vec<Part>> {
        match self {
            Self::Reasoning { content, .. } | Self::Message { content, .. } => Some(content),
            Self::FunctionCall { .. } | Self::CustomToolCall { .. } | Self::Passed(_) => None,
        }
    }
}

impl Part {
    pub(super) fn new(kind: PartKind) -> Self {
        let text = String::new();
        match kind {
            PartKind::Text => Self::OutputText { text, annotations: [], logprobs: Vec::new() },
            PartKind::Refusal => Self::Refusal { refusal: text },
            PartKind::Reasoning(_) => Self::ReasoningText { text },
        }
    }

    /// Whether it is made of this.
    pub(super) fn is(&self, kind: PartKind) -> bool {
        match self {
            Self::OutputText { .. } => kind == PartKind::Text,
            Self::Refusal { .. } => kind == PartKind::Refusal,
            Self::ReasoningText { .. } => matches!(kind, PartKind::Reasoning(_)),
            Self::Passed(_) => false,
        }
    }

    /// What it says.
    pub(super) fn text(&self) -> &str {
        match self {
            Self::OutputText { text, .. } | Self::ReasoningText { text } | Self::Refusal { refusal: text } => text,
            Self::Passed(_) => "",
        }
    }

    pub(super) fn append(&mut self, more: &str, more_logprobs: &[Box<RawValue>]) {
        match self {
            Self::OutputText { text, logprobs, .. } => {
                text.push_str(more);
                logprobs.extend_from_slice(more_logprobs);
            }
            Self::ReasoningText { text } | Self::Refusal { refusal: text } => text.push_str(more),
            Self::Passed(_) => {}
        }
    }
}
