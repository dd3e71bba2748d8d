//! What the caller of a stream has of the answer so far: all that another provider needs to know to finish it.
//!
//! It is kept while the stream goes by, so that it costs one copy of the text and no more. Beyond [`MOST_KEPT`] bytes
//! the text is forgotten, and the stream can no longer be finished by another.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::chunk::Piece;
use super::json_text;

/// Most bytes of text that are kept of one stream: more than the longest answers that models write.
const MOST_KEPT: usize = 512 * 1024;
/// Most choices that are kept apart.
pub(super) const MOST_CHOICES: usize = 16;

/// What the caller has of an answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivered {
    /// The first chunk in which the answer was begun.
    first_chunk: Vec<u8>,
    choices: Vec<Told>,
    /// One bit for each choice that was finished; known whatever else is forgotten.
    finished: u128,
    bytes: usize,
    tokens: u64,
    logprobs: bool,
    obstacle: Option<Obstacle>,
}

/// What the caller has of one choice; texts as they stand in JSON, without their quotes.
#[derive(Clone, Debug, Default)]
struct Told {
    begun: bool,
    content: String,
    reasoning: String,
}

/// Why an answer cannot be finished by another provider, whoever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A part of a tool call was delivered. Half a call of one model and half of another's is none.
    ToolCall,
    /// Something was delivered that is no text: a refusal, audio, content parts.
    NotText,
    /// More was delivered than is kept.
    TooLong,
}

/// The fields by which a client knows that chunks belong together, as the first chunk has them.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Identity {
    /// The answer's id.
    pub(crate) id: Option<Box<RawValue>>,
    /// When it was begun.
    pub(crate) created: Option<Box<RawValue>>,
    /// The model that began it.
    pub(crate) model: Option<Box<RawValue>>,
}

impl Delivered {
    /// Adds what one chunk says; `data` is its payload.
    pub(super) fn add<'a>(&mut self, data: &[u8], pieces: impl Iterator<Item = &'a Piece<'a>>) {
        for piece in pieces {
            if self.first_chunk.is_empty() {
                self.first_chunk = data.to_vec();
            }
            self.add_piece(piece);
        }
    }

    /// Something was said for which a chat has no words.
    pub(crate) fn add_unsaid(&mut self) {
        self.hinder(Obstacle::NotText);
    }

    fn add_piece(&mut self, piece: &Piece<'_>) {
        let index = piece.index as usize;
        if piece.finished {
            self.finished |= 1 << piece.index.min(u128::BITS - 1);
        }
        if piece.tool_call {
            self.hinder(Obstacle::ToolCall);
        } else if piece.other {
            self.hinder(Obstacle::NotText);
        } else if index >= MOST_CHOICES {
            self.hinder(Obstacle::TooLong);
        }
        if self.obstacle.is_some() {
            return;
        }
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Told::default);
        }
        let told = &mut self.choices[index];
        told.begun = true;
        self.logprobs |= piece.logprobs;
        let (content, reasoning) = (unquoted(piece.content), unquoted(piece.reasoning));
        told.content.push_str(content);
        told.reasoning.push_str(reasoning);
        self.tokens += piece.tokens;
        self.bytes += content.len() + reasoning.len();
        if self.bytes > MOST_KEPT {
            self.hinder(Obstacle::TooLong);
        }
    }

    /// From here on nothing helps, and nothing need be kept.
    fn hinder(&mut self, obstacle: Obstacle) {
        self.obstacle.get_or_insert(obstacle);
        self.choices = Vec::new();
    }

    /// The payload of the first chunk in which the answer was begun.
    pub(crate) fn first_chunk(&self) -> &[u8] {
        &self.first_chunk
    }

    /// Why another provider cannot finish the answer, if that is so.
    pub(crate) fn obstacle(&self) -> Option<Obstacle> {
        self.obstacle
    }

    /// The fields that all chunks of the answer share.
    pub(crate) fn identity(&self) -> Identity {
        serde_json::from_slice(&self.first_chunk).unwrap_or_default()
    }

    /// The text of a choice, in UTF-16 code units.
    pub(crate) fn content(&self, choice: usize) -> Vec<u16> {
        self.choices.get(choice).map(|told| json_text::units(&told.content)).unwrap_or_default()
    }

    /// The reasoning of a choice, likewise.
    pub(crate) fn reasoning(&self, choice: usize) -> Vec<u16> {
        self.choices.get(choice).map(|told| json_text::units(&told.reasoning)).unwrap_or_default()
    }

    /// Whether the caller has heard of a choice.
    pub(crate) fn has_begun(&self, choice: usize) -> bool {
        self.choices.get(choice).is_some_and(|told| told.begun)
    }

    /// Whether the caller has all of a choice.
    pub(crate) fn has_finished(&self, choice: usize) -> bool {
        choice < u128::BITS as usize && self.finished & (1 << choice) != 0
    }

    /// Tokens in what was delivered, about: a delta may hold many.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// Whether probabilities were delivered along with the text.
    pub(crate) fn has_logprobs(&self) -> bool {
        self.logprobs
    }
}

/// A JSON string without its quotes.
pub(super) fn unquoted(string: Option<&str>) -> &str {
    string.and_then(|string| string.strip_prefix('"')?.strip_suffix('"')).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::chunk::StreamWatch;
    use super::*;

    fn delivered(chunks: &[&str]) -> Delivered {
        let (mut watch, mut delivered) = (StreamWatch::new(1), Delivered::default());
        for chunk in chunks {
            watch.observe(chunk.as_bytes(), Some(&mut delivered)).expect("well formed");
        }
        delivered
    }

    fn text(units: &[u16]) -> String {
        json_text::whole_characters(units)
    }

    #[test]
    fn texts_add_up_choice_by_choice_even_within_a_character() {
        let delivered = delivered(&[
            r#"{"choices":[],"prompt_filter_results":[]}"#,
            r#"{"id":"c","created":7,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#,
            r#"{"id":"d","choices":[{"index":0,"delta":{"reasoning_content":"so","reasoning":"so"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a\"\ud83d"}},{"index":2,"delta":{"content":"z"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"\ude00"}}]}"#,
        ]);
        assert_eq!((text(&delivered.content(0)), text(&delivered.reasoning(0))), ("a\"😀".to_owned(), "so".to_owned()));
        assert_eq!(text(&delivered.content(2)), "z");
        assert_eq!([0, 1, 2].map(|choice| delivered.has_begun(choice)), [true, false, true]);
        assert_eq!([0, 1, 2].map(|choice| delivered.has_finished(choice)), [false, false, true]);
        assert_eq!(delivered.obstacle(), None);
        let identity = delivered.identity();
        let raw = |field: Option<Box<RawValue>>| field.map(|field| field.get().to_owned());
        assert_eq!(raw(identity.id).as_deref(), Some(r#""c""#), "of the first chunk with a choice");
        assert_eq!(raw(identity.created).as_deref(), Some("7"));
    }

    #[test]
    fn the_text_of_a_text_completion_is_as_good_as_a_deltas() {
        let delivered = delivered(&[
            r#"{"id":"c","object":"text_completion","choices":[{"index":0,"text":"He"}]}"#,
            r#"{"id":"c","choices":[{"index":0,"text":"l","logprobs":null,"finish_reason":null}]}"#,
        ]);
        assert_eq!((text(&delivered.content(0)).as_str(), delivered.obstacle()), ("Hel", None));
        assert!(delivered.tokens() > 0 && !delivered.has_logprobs());
    }

    #[test]
    fn what_is_no_text_cannot_be_joined() {
        for (delta, obstacle) in [
            (r#"{"tool_calls":[{"index":0}]}"#, Some(Obstacle::ToolCall)),
            (r#"{"function_call":{"name":"f"}}"#, Some(Obstacle::ToolCall)),
            (r#"{"refusal":"no"}"#, Some(Obstacle::NotText)),
            (r#"{"content":["parts"]}"#, Some(Obstacle::NotText)),
            (r#"{"tool_calls":null,"refusal":null,"content":null}"#, None),
        ] {
            let chunk = format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
            let delivered = delivered(&[&chunk, r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#]);
            assert_eq!((delivered.obstacle(), delivered.has_finished(0)), (obstacle, true), "{delta}");
        }
        assert_eq!(delivered(&[r#"{"choices":[{"index":0,"text":["Hi"]}]}"#]).obstacle(), Some(Obstacle::NotText));
    }

    #[test]
    fn a_delta_is_worth_what_is_in_it() {
        let words = "word ".repeat(100);
        let delta = |field: &str| format!(r#"{{"choices":[{{"index":0,"delta":{{"{field}":"{words}"}}}}]}}"#);
        let delivered = delivered(&[&delta("content"), &delta("reasoning"), r#"{"choices":[{"index":0,"delta":{}}]}"#]);
        assert!((200..=210).contains(&delivered.tokens()), "{}", delivered.tokens());
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let long = format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{}"}}}}]}}"#, "x".repeat(1024));
        let kept = delivered(&vec![long.as_str(); 512]);
        assert_eq!((kept.obstacle(), kept.content(0).len()), (None, MOST_KEPT));
        let beyond = delivered(&vec![long.as_str(); 513]);
        assert_eq!((beyond.obstacle(), beyond.choices.capacity()), (Some(Obstacle::TooLong), 0));
        let many = delivered(&[r#"{"choices":[{"index":16,"delta":{"content":"x"}}]}"#]);
        assert_eq!(many.obstacle(), Some(Obstacle::TooLong));
    }
}
