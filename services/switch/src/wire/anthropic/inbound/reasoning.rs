//! Reasoning that nobody has signed, on its way to a caller of Anthropic's wire and back again.
//!
//! Servers have two names for it, some want it back when tools were called, and each knows its own name only. Which one
//! it was stands where the signature would.

use serde_json::Value;

use crate::wire::json::said;

/// What a server calls its reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    ReasoningContent,
    Reasoning,
}

impl Name {
    /// The field of a message or a delta.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }

    /// The signature of the block that it becomes.
    pub(super) const fn signature(self) -> &'static str {
        match self {
            Self::ReasoningContent => "",
            Self::Reasoning => "reasoning",
        }
    }
}

/// The reasoning in a message or a delta; some servers send it under both names.
pub(super) fn said_in(delta: &Value) -> Option<(Name, &str)> {
    let named = |name: Name| Some((name, said(delta, name.field())?));
    named(Name::ReasoningContent).or_else(|| named(Name::Reasoning))
}

/// The name and the text that became this `thinking` block. `None`: its signature is its provider's.
pub(super) fn in_block(block: &Value) -> Option<(Name, &str)> {
    let signature = said(block, "signature").unwrap_or_default();
    let name = [Name::ReasoningContent, Name::Reasoning].into_iter().find(|name| name.signature() == signature)?;
    Some((name, said(block, "thinking")?))
}
