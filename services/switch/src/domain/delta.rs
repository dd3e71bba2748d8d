//! What one chunk of a stream says, for callers that are not answered in the provider's wire.

use serde::Deserialize;

use super::chunk::BadChunk;

/// The text in a chunk's first choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    /// More of the answer.
    pub(crate) content: Option<String>,
    /// More of the reasoning.
    pub(crate) reasoning: Option<String>,
    /// The model as the provider calls it.
    pub(crate) model: Option<String>,
}

impl Delta {
    /// Reads a chunk.
    ///
    /// # Errors
    /// When its text is not text.
    pub(crate) fn read(data: &[u8]) -> Result<Self, BadChunk> {
        let chunk: TextChunk = serde_json::from_slice(data).map_err(|_| BadChunk)?;
        let text = chunk.choices.into_iter().next().and_then(|choice| choice.delta).unwrap_or_default();
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self {
            content: said(text.content),
            reasoning: said(text.reasoning_content.or(text.reasoning)),
            // Azure's first chunk has an empty one.
            model: said(chunk.model),
        })
    }
}

#[derive(Deserialize)]
struct TextChunk {
    #[serde(default)]
    choices: Vec<TextChoice>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct TextChoice {
    delta: Option<Text>,
}

#[derive(Default, Deserialize)]
struct Text {
    content: Option<String>,
    reasoning_content: Option<String>,
    /// The other name that servers have for it; some send both.
    reasoning: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_read_as_text() {
        let delta = Delta::read(br#"{"model":"r1","choices":[{"delta":{"content":"","reasoning_content":"so\n"}}]}"#);
        let expected = Delta { content: None, reasoning: Some("so\n".to_owned()), model: Some("r1".to_owned()) };
        assert_eq!(delta, Ok(expected));
        assert_eq!(Delta::read(br#"{"choices":[]}"#), Ok(Delta::default()));
        assert_eq!(Delta::read(br#"{"choices":[{"delta":{"content":["parts"]}}]}"#), Err(BadChunk));
        let both = Delta::read(br#"{"choices":[{"delta":{"reasoning":"a","reasoning_content":"a"}}]}"#).expect("text");
        assert_eq!(both.reasoning.as_deref(), Some("a"));
    }
}
