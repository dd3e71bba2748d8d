//! Watches a stream go by: is each chunk well formed, has every choice finished, what was spent.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::answer::{Reported, ReportedUsage};
use crate::accounts::{Tokens, estimate_tokens};

/// The payload that ends a stream.
const DONE: &[u8] = b"[DONE]";

/// What one event was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A chunk of the answer; `token` where it carries text, reasoning or a part of a tool call.
    Chunk {
        /// Whether something was said in it.
        token: bool,
    },
    /// The mark at the end.
    Done,
    /// A comment, or an event without data.
    Nothing,
}

/// The event is no chunk: it is malformed, or it reports an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadChunk;

/// What is known of a stream so far.
#[derive(Clone, Debug)]
pub(crate) struct StreamWatch {
    expected: u32,
    /// One bit for each choice that was begun, and for each that was finished.
    begun: u128,
    finished: u128,
    tokens: u64,
    usage: Option<Reported>,
}

impl StreamWatch {
    /// Watches a stream of `expected` choices.
    pub(crate) fn new(expected: u32) -> Self {
        Self { expected, begun: 0, finished: 0, tokens: 0, usage: None }
    }

    /// Takes in the payload of the next event.
    pub(crate) fn observe(&mut self, data: &[u8]) -> Result<Seen, BadChunk> {
        let data = data.trim_ascii();
        match data.first() {
            None => return Ok(Seen::Nothing),
            // serde would take an array for a struct.
            Some(b'{') => {}
            Some(_) if data == DONE => return Ok(Seen::Done),
            Some(_) => return Err(BadChunk),
        }
        let chunk: Chunk = serde_json::from_slice(data).map_err(|_| BadChunk)?;
        if chunk.error.is_some() {
            return Err(BadChunk);
        }
        if let Some(usage) = chunk.usage {
            self.usage = Some(usage.into());
        }
        self.begun |= chunk.choices.begun;
        self.finished |= chunk.choices.finished;
        self.tokens += chunk.choices.tokens;
        Ok(Seen::Chunk { token: chunk.choices.tokens > 0 })
    }

    /// Whether every choice has said why it ended, so that nothing of the answer is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished == self.begun && self.finished.count_ones() >= self.expected.clamp(1, u128::BITS)
    }

    /// What the provider says was spent.
    pub(crate) fn usage(&self) -> Option<Reported> {
        self.usage
    }

    /// What the provider says was spent, as it is paid for.
    pub(crate) fn tokens(&self) -> Option<Tokens> {
        self.usage.map(|reported| reported.tokens)
    }

    /// Tokens written so far: as reported, else an estimate of each delta, which most providers make of one token.
    pub(crate) fn tokens_written(&self) -> u64 {
        self.usage.map_or(self.tokens, |reported| reported.tokens.completion)
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Choices,
    usage: Option<ReportedUsage>,
    error: Option<IgnoredAny>,
}

/// The choices of one chunk, folded while they are parsed, so that no list is made.
#[derive(Default)]
struct Choices {
    begun: u128,
    finished: u128,
    tokens: u64,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    delta: Option<DeltaPeek>,
    /// What a text completion has in place of a delta.
    #[serde(default)]
    text: Said,
    /// Some servers send an empty one along with every chunk.
    #[serde(default)]
    finish_reason: Said,
}

#[derive(Deserialize)]
struct DeltaPeek {
    #[serde(default)]
    content: Said,
    #[serde(default)]
    reasoning_content: Said,
    #[serde(default)]
    reasoning: Said,
    #[serde(default)]
    refusal: Said,
    #[serde(default)]
    tool_calls: Said,
}

impl DeltaPeek {
    /// Some servers say the same reasoning under both names.
    fn tokens(&self) -> u64 {
        let reasoning = self.reasoning_content.0.max(self.reasoning.0);
        self.content.0 + reasoning + self.refusal.0 + self.tool_calls.0
    }
}

impl<'de> Deserialize<'de> for Choices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Choices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices, A::Error> {
                let mut seen = Choices::default();
                while let Some(choice) = list.next_element::<Choice>()? {
                    // More choices than bits: the last bit stands for all the rest.
                    let bit = 1u128 << choice.index.min(u128::BITS - 1);
                    seen.begun |= bit;
                    if choice.finish_reason.0 > 0 {
                        seen.finished |= bit;
                    }
                    seen.tokens += choice.text.0 + choice.delta.map_or(0, |delta| delta.tokens());
                }
                Ok(seen)
            }
        }
        deserializer.deserialize_seq(Fold)
    }
}

/// How much a field says, whatever its type, in tokens; 0 where it holds nothing.
#[derive(Default)]
struct Said(u64);

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Anything;
        impl<'de> Visitor<'de> for Anything {
            type Value = Said;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text, a list or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<Said, E> {
                Ok(Said(estimate_tokens(text)))
            }

            fn visit_unit<E>(self) -> Result<Said, E> {
                Ok(Said(0))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Said, A::Error> {
                let mut said = 0;
                while let Some(Said(part)) = list.next_element()? {
                    said += part;
                }
                Ok(Said(said))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Said, A::Error> {
                let mut said = 0;
                while let Some((_, Said(part))) = map.next_entry::<IgnoredAny, Said>()? {
                    said += part;
                }
                // A part of a tool call, though it may hold but its number.
                Ok(Said(said.max(1)))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Said, E> {
                Ok(Said(0))
            }

            fn visit_u64<E>(self, _: u64) -> Result<Said, E> {
                Ok(Said(0))
            }

            fn visit_i64<E>(self, _: i64) -> Result<Said, E> {
                Ok(Said(0))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Said, E> {
                Ok(Said(0))
            }
        }
        deserializer.deserialize_any(Anything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] =
        br#"{"id":"c","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}],"usage":null}"#;
    const STOP: &[u8] = br#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;

    #[test]
    fn a_stream_is_complete_once_every_choice_has_finished() {
        let mut watch = StreamWatch::new(2);
        assert_eq!(watch.observe(TEXT), Ok(Seen::Chunk { token: true }));
        watch.observe(br#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":""}]}"#).expect("well formed");
        assert!(!watch.is_complete());
        assert_eq!(watch.observe(STOP), Ok(Seen::Chunk { token: false }));
        assert!(!watch.is_complete(), "the second choice is missing");
        watch.observe(br#"{"choices":[{"index":1,"delta":{"content":"Ho"}}]}"#).expect("well formed");
        watch.observe(br#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#).expect("well formed");
        assert!(watch.is_complete());
        assert_eq!(watch.tokens_written(), 2, "counted by deltas");
    }

    #[test]
    fn reported_usage_is_the_truth() {
        let mut watch = StreamWatch::new(1);
        watch.observe(TEXT).expect("well formed");
        let usage = br#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14}}"#;
        assert_eq!(watch.observe(usage), Ok(Seen::Chunk { token: false }));
        assert_eq!((watch.tokens_written(), watch.usage().map(|reported| reported.usage.total_tokens)), (9, Some(14)));
    }

    #[test]
    fn the_end_comments_and_faults_are_told_apart() {
        let mut watch = StreamWatch::new(1);
        assert_eq!(watch.observe(b"[DONE]"), Ok(Seen::Done));
        assert_eq!(watch.observe(b""), Ok(Seen::Nothing));
        let tool = br#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#;
        assert_eq!(watch.observe(tool), Ok(Seen::Chunk { token: true }));
        let first = br#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
        assert_eq!(watch.observe(first), Ok(Seen::Chunk { token: false }));
        let faults: [&[u8]; 6] = [
            b"{\"choices\":[{\"del",
            b"[]",
            b"null",
            br#"{"choices":"none"}"#,
            br#"{"error":{"message":"overloaded"}}"#,
            br#"{"choices":[{"index":"first"}]}"#,
        ];
        for fault in faults {
            assert_eq!(watch.observe(fault), Err(BadChunk), "{}", String::from_utf8_lossy(fault));
        }
        assert_eq!(watch.observe(br#"{"error":null,"choices":[]}"#), Ok(Seen::Chunk { token: false }));
    }
}
