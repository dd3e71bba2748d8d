//! Watches a stream go by: is each chunk well formed, has every choice finished, what was spent.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::answer::{Reported, ReportedUsage};
use super::delivered::Delivered;
use super::ending::Ending;
use crate::accounts::{Tier, Tokens, estimate_tokens};

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
    /// The provider reports an error of its own.
    Error,
    /// The provider gives the answer up, in the words of an end.
    GivenUp,
    /// The mark at the end.
    Done,
    /// A comment, or an event without data.
    Nothing,
}

/// The event is no chunk.
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
    has_spoken: bool,
    usage: Option<Reported>,
    /// As far as it was said.
    tier: Option<Tier>,
}

impl StreamWatch {
    /// Watches a stream of `expected` choices.
    pub(crate) fn new(expected: u32) -> Self {
        Self { expected, begun: 0, finished: 0, tokens: 0, has_spoken: false, usage: None, tier: None }
    }

    /// Takes in the payload of the next event. What it says of the answer is added to `delivered`, where that is kept.
    pub(crate) fn observe(&mut self, data: &[u8], delivered: Option<&mut Delivered>) -> Result<Seen, BadChunk> {
        let data = data.trim_ascii();
        match data.first() {
            None => return Ok(Seen::Nothing),
            // serde would take an array for a struct.
            Some(b'{') => {}
            Some(_) if data == DONE => return Ok(Seen::Done),
            Some(_) => return Err(BadChunk),
        }
        // serde would skip what is not looked at, whatever its bytes; readers of the chunk would stumble over them.
        let text = std::str::from_utf8(data).map_err(|_| BadChunk)?;
        let chunk: Chunk<'_> = serde_json::from_str(text).map_err(|_| BadChunk)?;
        if chunk.error.is_some() {
            return Ok(Seen::Error);
        }
        if chunk.choices.given_up {
            return Ok(Seen::GivenUp);
        }
        if let Some(delivered) = delivered {
            delivered.add(data, chunk.choices.pieces());
        }
        self.tier = chunk.service_tier.or(self.tier);
        if let Some(reported) = chunk.usage.and_then(ReportedUsage::reported) {
            self.usage = Some(reported.served(self.tier));
        }
        self.begun |= chunk.choices.begun;
        self.finished |= chunk.choices.finished;
        self.tokens += chunk.choices.tokens;
        self.has_spoken |= chunk.choices.says;
        Ok(Seen::Chunk { token: chunk.choices.tokens > 0 })
    }

    /// Whether every choice has said why it ended, so that nothing of the answer is missing.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished == self.begun && self.finished.count_ones() >= self.expected.clamp(1, u128::BITS)
    }

    /// Whether a choice was begun that has not said why it ended.
    pub(crate) fn is_cut_short(&self) -> bool {
        self.begun & !self.finished != 0
    }

    /// Whether anything of the answer was said, if only that it has ended: what opens an answer says nothing of it.
    pub(crate) fn has_spoken(&self) -> bool {
        self.has_spoken
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
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Choices<'a>,
    usage: Option<ReportedUsage>,
    service_tier: Option<Tier>,
    error: Option<IgnoredAny>,
}

/// The choices of one chunk, folded while they are parsed; no list is made of the one choice that most chunks have.
#[derive(Default)]
struct Choices<'a> {
    begun: u128,
    finished: u128,
    tokens: u64,
    /// Whether one of them says something, if only that it has ended.
    says: bool,
    /// Whether the provider gave one of them up.
    given_up: bool,
    first: Option<Piece<'a>>,
    more: Vec<Piece<'a>>,
}

impl<'a> Choices<'a> {
    fn pieces(&self) -> impl Iterator<Item = &Piece<'a>> {
        self.first.iter().chain(&self.more)
    }
}

/// What one chunk says of one choice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Piece<'a> {
    /// The choice.
    pub(crate) index: u32,
    /// More of its text, as the JSON string stands in the chunk.
    pub(crate) content: Option<&'a str>,
    /// More of its reasoning, likewise.
    pub(crate) reasoning: Option<&'a str>,
    /// A part of a tool call.
    pub(crate) tool_call: bool,
    /// Something of the answer that is no text.
    pub(crate) other: bool,
    /// How much of it all there is, about, in tokens.
    pub(crate) tokens: u64,
    /// Whether probabilities come with it.
    pub(crate) logprobs: bool,
    /// Whether it said why it ended.
    pub(crate) finished: bool,
}

impl Piece<'_> {
    /// Whether it says anything of the answer, if only that it has ended.
    fn says(&self) -> bool {
        // More than its quotes: blanks count for nothing among the tokens.
        let is_text = |text: Option<&str>| text.is_some_and(|text| text.len() > 2);
        self.tokens > 0 || self.other || self.finished || is_text(self.content) || is_text(self.reasoning)
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    index: u32,
    #[serde(borrow, default)]
    delta: Option<DeltaPeek<'a>>,
    /// What an older API has in place of a delta.
    #[serde(default)]
    text: Said,
    #[serde(default)]
    logprobs: Said,
    #[serde(default)]
    finish_reason: Ending,
}

#[derive(Default, Deserialize)]
struct DeltaPeek<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(default)]
    refusal: Said,
    #[serde(default)]
    tool_calls: Said,
    #[serde(default)]
    function_call: Said,
    #[serde(default)]
    audio: Said,
    /// Not looked into: they are long.
    #[serde(borrow, default)]
    images: Option<&'a RawValue>,
}

impl<'a> From<Choice<'a>> for Piece<'a> {
    fn from(choice: Choice<'a>) -> Self {
        let delta = choice.delta.unwrap_or_default();
        let (content, parts) = text(delta.content);
        // Some servers send it under both names.
        let (reasoning, _) = text(delta.reasoning_content.or(delta.reasoning));
        let tokens = said(delta.content)
            + said(delta.reasoning_content).max(said(delta.reasoning))
            + delta.refusal.0
            + delta.tool_calls.0
            + delta.function_call.0
            + choice.text.0;
        Self {
            index: choice.index,
            content,
            reasoning,
            tool_call: delta.tool_calls.0 > 0 || delta.function_call.0 > 0,
            other: parts || text(delta.images).1 || delta.refusal.0 > 0 || delta.audio.0 > 0 || choice.text.0 > 0,
            tokens,
            logprobs: choice.logprobs.0 > 0,
            finished: choice.finish_reason == Ending::Ended,
        }
    }
}

/// A field that is usually text, and whether it holds something else instead.
fn text(field: Option<&RawValue>) -> (Option<&str>, bool) {
    match field.map(RawValue::get) {
        Some(text) if text.starts_with('"') => (Some(text), false),
        Some("[]") | None => (None, false),
        Some(_) => (None, true),
    }
}

/// How much a field says that is usually text, in tokens.
fn said(field: Option<&RawValue>) -> u64 {
    match field.map(RawValue::get) {
        None => 0,
        Some(text) => match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            // An escape counts as it is written: an estimate needs no copy.
            Some(text) => estimate_tokens(text),
            None => serde_json::from_str(text).map_or(0, |Said(tokens)| tokens),
        },
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fold;
        impl<'de> Visitor<'de> for Fold {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Choices<'de>, A::Error> {
                let mut seen = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    seen.given_up |= choice.finish_reason == Ending::GivenUp;
                    let piece = Piece::from(choice);
                    // More choices than bits: the last bit stands for all the rest.
                    let bit = 1u128 << piece.index.min(u128::BITS - 1);
                    seen.begun |= bit;
                    if piece.finished {
                        seen.finished |= bit;
                    }
                    seen.tokens += piece.tokens;
                    seen.says |= piece.says();
                    match seen.first {
                        None => seen.first = Some(piece),
                        Some(_) => seen.more.push(piece),
                    }
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
        assert_eq!(watch.observe(TEXT, None), Ok(Seen::Chunk { token: true }));
        watch
            .observe(br#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":""}]}"#, None)
            .expect("well formed");
        assert!(!watch.is_complete());
        assert_eq!(watch.observe(STOP, None), Ok(Seen::Chunk { token: false }));
        assert!(!watch.is_complete(), "the second choice is missing");
        watch.observe(br#"{"choices":[{"index":1,"delta":{"content":"Ho"}}]}"#, None).expect("well formed");
        watch.observe(br#"{"choices":[{"index":1,"delta":{},"finish_reason":"length"}]}"#, None).expect("well formed");
        assert!(watch.is_complete());
        assert_eq!(watch.tokens_written(), 2, "counted by deltas");
    }

    #[test]
    fn reported_usage_is_the_truth() {
        let mut watch = StreamWatch::new(1);
        watch.observe(TEXT, None).expect("well formed");
        let usage = br#"{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":9,"total_tokens":14}}"#;
        assert_eq!(watch.observe(usage, None), Ok(Seen::Chunk { token: false }));
        assert_eq!((watch.tokens_written(), watch.usage().map(|reported| reported.usage.total_tokens)), (9, Some(14)));
    }

    #[test]
    fn a_stream_may_say_its_tier_before_what_it_spent() {
        let mut watch = StreamWatch::new(1);
        watch.observe(br#"{"choices":[],"service_tier":"flex"}"#, None).expect("well formed");
        watch.observe(br#"{"choices":[],"service_tier":null,"usage":{"prompt_tokens":5}}"#, None).expect("well formed");
        assert_eq!(watch.tokens().map(|tokens| tokens.tier), Some(Tier::Flex));
    }

    #[test]
    fn what_opens_an_answer_says_nothing_of_it() {
        let says = |choice: &str| {
            let mut watch = StreamWatch::new(1);
            let chunk = format!(r#"{{"choices":[{{"index":0,{choice}}}]}}"#);
            watch.observe(chunk.as_bytes(), None).expect("well formed");
            watch.has_spoken()
        };
        for nothing in [r#""delta":{"role":"assistant","content":""}"#, r#""delta":{"refusal":null}"#, r#""text":null"#]
        {
            assert!(!says(nothing), "{nothing}");
        }
        for something in [
            r#""delta":{"content":" "}"#,
            r#""delta":{"reasoning":"\n"}"#,
            r#""delta":{"tool_calls":[{"index":0}]}"#,
            r#""delta":{"audio":{"id":"a"}}"#,
            r#""delta":{"images":[{"type":"image_url"}]}"#,
            r#""delta":{},"finish_reason":"stop""#,
            r#""text":"Hi""#,
        ] {
            assert!(says(something), "{something}");
        }
    }

    #[test]
    fn an_answer_that_is_given_up_has_not_ended() {
        for reason in ["error", "insufficient_system_resource"] {
            let mut watch = StreamWatch::new(1);
            watch.observe(TEXT, None).expect("well formed");
            let end = format!(r#"{{"choices":[{{"index":0,"delta":{{}},"finish_reason":"{reason}"}}]}}"#);
            assert_eq!(watch.observe(end.as_bytes(), None), Ok(Seen::GivenUp));
            assert!(!watch.is_complete() && watch.is_cut_short(), "{reason}");
        }
    }

    #[test]
    fn a_server_may_answer_fewer_choices_than_were_asked_for() {
        let mut watch = StreamWatch::new(2);
        assert!(!watch.is_cut_short(), "none was begun");
        watch.observe(TEXT, None).expect("well formed");
        assert!(watch.is_cut_short());
        watch.observe(STOP, None).expect("well formed");
        assert!(!watch.is_cut_short() && !watch.is_complete());
    }

    #[test]
    fn the_end_comments_and_faults_are_told_apart() {
        let mut watch = StreamWatch::new(1);
        assert_eq!(watch.observe(b"[DONE]", None), Ok(Seen::Done));
        assert_eq!(watch.observe(b"", None), Ok(Seen::Nothing));
        let tool = br#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#;
        assert_eq!(watch.observe(tool, None), Ok(Seen::Chunk { token: true }));
        let first = br#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
        assert_eq!(watch.observe(first, None), Ok(Seen::Chunk { token: false }));
        assert_eq!(watch.observe(br#"{"error":{"message":"overloaded"}}"#, None), Ok(Seen::Error));
        let faults: [&[u8]; 6] = [
            b"{\"choices\":[{\"del",
            b"[]",
            b"null",
            br#"{"choices":"none"}"#,
            br#"{"choices":[{"index":"first"}]}"#,
            b"{\"id\":\"\x80\",\"choices\":[]}",
        ];
        for fault in faults {
            assert_eq!(watch.observe(fault, None), Err(BadChunk), "{}", String::from_utf8_lossy(fault));
        }
        assert_eq!(watch.observe(br#"{"error":null,"choices":[]}"#, None), Ok(Seen::Chunk { token: false }));
    }
}
