//! What one provider's stream has written, kept where it may have to be counted at the end: of models whose vocabulary
//! is at hand, as long as the provider has not said what was spent.
//!
//! Beyond [`MOST_KEPT`] bytes the text is forgotten, and so it is where it cannot be read; how much was written is then
//! what was estimated on its way.

use serde::Deserialize;

use super::chunk::Piece;
use super::delivered::{MOST_CHOICES, unquoted};
use super::json_text;
use crate::tokenizer::{Counter, Vocabulary};

/// Most bytes that are kept of one stream: more than the longest answers that models write.
const MOST_KEPT: usize = 512 * 1024;

/// What was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written {
    choices: Vec<Texts>,
    bytes: usize,
    is_forgotten: bool,
}

/// What was written of one choice.
#[derive(Clone, Debug, Default)]
struct Texts {
    /// As they stand in JSON, without their quotes.
    content: String,
    reasoning: String,
    /// Calls of tools, or a refusal.
    rest: String,
    calls: u64,
}

impl Written {
    /// Adds what one chunk says; `data` is its payload.
    pub(super) fn add<'a>(&mut self, data: &str, pieces: impl Iterator<Item = &'a Piece<'a>> + Clone) {
        let mut has_more = false;
        for piece in pieces.clone() {
            if self.is_forgotten {
                return;
            }
            let texts = self.choice(piece.index);
            let (content, reasoning) = (unquoted(piece.content), unquoted(piece.reasoning));
            texts.content.push_str(content);
            texts.reasoning.push_str(reasoning);
            self.grow(content.len() + reasoning.len());
            has_more |= piece.is_more_than_text();
        }
        if has_more {
            let is_more = |index| pieces.clone().any(|piece| piece.index == index && piece.is_more_than_text());
            self.add_more(data, is_more);
        }
    }

    /// Bytes that would be counted.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The tokens of it all. `None`: it was forgotten.
    pub(crate) fn tokens(&self, vocabulary: Vocabulary) -> Option<u64> {
        let mut counter = Counter::new(vocabulary);
        let mut count = |texts: &Texts| {
            let told = [&texts.content, &texts.reasoning].map(|text| String::from_utf16_lossy(&json_text::units(text)));
            let told: u64 = told.iter().map(|text| counter.tokens(text)).sum();
            told + counter.tokens(&texts.rest) + texts.calls
        };
        (!self.is_forgotten).then(|| self.choices.iter().map(&mut count).sum())
    }

    /// What a chunk says that is no plain text, in the choices where there `is_more`.
    fn add_more(&mut self, data: &str, is_more: impl Fn(u32) -> bool) {
        let more: Result<More, _> = serde_json::from_str(data);
        let Ok(More { choices }) = more else { return self.forget() };
        for choice in choices.into_iter().filter(|choice| is_more(choice.index)) {
            let delta = choice.delta.unwrap_or_default();
            let functions = delta.tool_calls.unwrap_or_default().into_iter().map(|call| call.function);
            let functions: Vec<Function> = functions.chain([delta.function_call]).flatten().collect();
            if functions.is_empty() && delta.refusal.is_none() {
                // Something else was said, of which nobody knows what it is worth.
                return self.forget();
            }
            let texts = self.choice(choice.index);
            let before = texts.rest.len();
            texts.rest.push_str(&delta.refusal.unwrap_or_default());
            for Function { name, arguments } in functions {
                texts.calls += u64::from(name.as_ref().is_some_and(|name| !name.is_empty()));
                texts.rest.extend([name, arguments].into_iter().flatten());
            }
            let added = texts.rest.len() - before;
            self.grow(added);
        }
    }

    fn choice(&mut self, index: u32) -> &mut Texts {
        let index = (index as usize).min(MOST_CHOICES - 1);
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Texts::default);
        }
        &mut self.choices[index]
    }

    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > MOST_KEPT {
            self.forget();
        }
    }

    fn forget(&mut self) {
        *self = Self { is_forgotten: true, ..Self::default() };
    }
}

#[derive(Deserialize)]
struct More {
    #[serde(default)]
    choices: Vec<MoreOfChoice>,
}

#[derive(Deserialize)]
struct MoreOfChoice {
    #[serde(default)]
    index: u32,
    delta: Option<MoreOfDelta>,
}

#[derive(Default, Deserialize)]
struct MoreOfDelta {
    refusal: Option<String>,
    tool_calls: Option<Vec<Call>>,
    function_call: Option<Function>,
}

#[derive(Deserialize)]
struct Call {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    arguments: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::chunk::StreamWatch;
    use super::*;

    fn tokens(chunks: &[String]) -> Option<u64> {
        let mut watch = StreamWatch::new(1);
        watch.keep_written();
        for chunk in chunks {
            watch.observe(chunk.as_bytes(), None).expect("well formed");
        }
        watch.take_written().expect("it was kept").tokens(Vocabulary::O200k)
    }

    fn delta(delta: &str) -> String {
        format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#)
    }

    fn of(text: &str) -> u64 {
        Counter::new(Vocabulary::O200k).tokens(text)
    }

    #[test]
    fn text_is_counted_as_one_however_it_was_cut() {
        let text = "Unquestionably \"tokenised\"\n\té 😀 words";
        let json = r#"Unquestionably \"tokenised\"\n\t\u00e9 \ud83d\ude00 words"#;
        let whole = delta(&format!(r#"{{"content":"{json}"}}"#));
        assert_eq!(tokens(&[whole]), Some(of(text)));
        let cut = ["Unquest", "ionably \\\"token", "ised\\\"", "\\n\\t\\u00e9 \\ud83d", "\\ude00 wor", "ds"];
        let cut: Vec<String> = cut.iter().map(|part| delta(&format!(r#"{{"content":"{part}"}}"#))).collect();
        assert_eq!(tokens(&cut), Some(of(text)));
    }

    #[test]
    fn reasoning_tools_refusals_and_older_texts_count() {
        assert_eq!(tokens(&[delta(r#"{"reasoning_content":"so it is","reasoning":"so it is"}"#)]), Some(3));
        assert_eq!(tokens(&[delta(r#"{"refusal":"I can"}"#), delta(r#"{"refusal":"not"}"#)]), Some(of("I cannot")));
        let call = |function: &str| delta(&format!(r#"{{"tool_calls":[{{"index":0,"function":{function}}}]}}"#));
        let parts = [
            call(r#"{"name":"weather","arguments":""}"#),
            call(r#"{"arguments":"{\"ci"}"#),
            call(r#"{"arguments":"ty\":1}"}"#),
        ];
        assert_eq!(tokens(&parts), Some(of(r#"weather{"city":1}"#) + 1));
        assert_eq!(tokens(&[r#"{"choices":[{"index":0,"text":"one two"}]}"#.to_owned()]), Some(2));
    }

    #[test]
    fn a_choice_of_text_beside_one_that_calls_a_tool_counts_once() {
        let call = r#"{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}}"#;
        for plain in [r#"{"index":1,"delta":{"content":"one two"}}"#, r#"{"index":1,"text":"one two"}"#] {
            let chunk = format!(r#"{{"choices":[{call},{plain}]}}"#);
            assert_eq!(tokens(&[chunk]), Some(of("f{}") + 1 + 2), "{plain}");
        }
    }

    #[test]
    fn what_cannot_be_known_is_forgotten() {
        assert_eq!(tokens(&[delta(r#"{"content":[{"type":"image"}]}"#)]), None);
        assert_eq!(tokens(&[delta(&format!(r#"{{"content":"{}"}}"#, "x".repeat(MOST_KEPT + 1)))]), None);
    }
}
