//! What is asked of a provider in OpenAI's wire.

/// One of OpenAI's ways to use a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// `/chat/completions`.
    Chat,
    /// `/completions`, the older way.
    TextCompletion,
    /// `/embeddings`.
    Embeddings,
}

impl Operation {
    /// Its name in OpenTelemetry's GenAI conventions.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::TextCompletion => "text_completion",
            Self::Embeddings => "embeddings",
        }
    }

    /// Its path under a provider's base address.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "chat/completions",
            Self::TextCompletion => "completions",
            Self::Embeddings => "embeddings",
        }
    }

    /// Most bytes of a whole answer, and of one event of a stream. Probabilities of many tokens and images are long;
    /// embeddings of a full batch, 2,048 vectors of 3,072 numbers as base64, are 32 MiB.
    pub(crate) const fn answer_limit(self) -> usize {
        match self {
            Self::Chat | Self::TextCompletion => 32 * 1024 * 1024,
            Self::Embeddings => 64 * 1024 * 1024,
        }
    }
}
