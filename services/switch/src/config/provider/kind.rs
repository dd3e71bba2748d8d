//! The wires that providers speak.

use serde::{Deserialize, Serialize};

/// The wire that a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// OpenAI's, and that of the many servers that are compatible with it.
    #[default]
    Openai,
    /// OpenAI's at Azure: deployments in the path, a version in the query, a header of its own for the key.
    AzureOpenai,
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

impl ProviderKind {
    /// The kind as it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Whether it speaks OpenAI's wire.
    pub(super) const fn is_openais(self) -> bool {
        matches!(self, Self::Openai | Self::AzureOpenai)
    }

    /// Where the API begins of the one company that is meant by the kind.
    pub(super) const fn own_address(self) -> Option<&'static str> {
        match self {
            Self::Openai | Self::AzureOpenai => None,
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
        }
    }
}
