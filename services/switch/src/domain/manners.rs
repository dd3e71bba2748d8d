//! What every stream in OpenAI's wire owes its reader: one `id` in all chunks, and at its end a usage chunk exactly
//! where it was asked for, with the cost, which is not known before.
//!
//! A chunk that already is as it should be passes as the bytes it came in, and is not read for it.

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use vx11_contracts::chat::Usage;

use super::cost::with_cost;
use super::edit::span_of;
use crate::accounts::Usd;

/// What becomes of one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It goes on as it came.
    AsItCame,
    /// This goes on in its place.
    Instead(Bytes),
    /// It is not for the caller.
    Hidden,
}

/// The manners of one stream.
#[derive(Debug)]
pub(crate) struct Manners {
    wants_usage: bool,
    /// What the chunks of this stream are called.
    object: &'static str,
    id: Option<Id>,
    /// When the answer was begun and by which model, as the fields stand in its first chunk; for who asked for the
    /// usage.
    begun: String,
    /// The chunk that says the usage alone, for who asked for it.
    usage: Option<Bytes>,
    /// What came before the answer had an id, and waits for it.
    held: Option<String>,
}

/// The id of the first chunk that has one.
#[derive(Debug)]
struct Id {
    /// As it stands in JSON, quotes included.
    text: String,
    /// How the first chunk began, up to the end of its id; empty where that did not come first.
    prefix: Vec<u8>,
    /// How it ended, from the comma before its id on; empty where something but plain values came after that.
    suffix: Vec<u8>,
}

impl Id {
    /// Whether the chunk `data`, which is JSON, is known to have it without being read.
    fn is_in(&self, data: &[u8]) -> bool {
        let is_one_of = |known: &[u8], found: bool| !known.is_empty() && found;
        is_one_of(&self.prefix, data.starts_with(&self.prefix)) || is_one_of(&self.suffix, data.ends_with(&self.suffix))
    }
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    object: Option<&'a RawValue>,
    #[serde(borrow)]
    created: Option<&'a RawValue>,
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(default)]
    choices: Vec<IgnoredAny>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

impl Manners {
    /// Of chunks that are such an `object`, for a caller who asked for the usage, or did not.
    pub(crate) fn new(wants_usage: bool, object: &'static str) -> Self {
        Self { wants_usage, object, id: None, begun: String::new(), usage: None, held: None }
    }

    /// What becomes of the chunk `data`; `reported` says that the usage was reported by now, if only in earlier chunks.
    pub(crate) fn pass(&mut self, data: &[u8], reported: bool) -> Passed {
        if data.is_empty() {
            return Passed::AsItCame;
        }
        if reported && self.takes_usage(data) {
            return Passed::Hidden;
        }
        match self.with_one_id(data) {
            Some(chunk) => Passed::Instead(chunk),
            None if self.id.is_none() && self.held.is_none() && says_nothing_of_the_answer(data) => {
                self.held = String::from_utf8(data.to_vec()).ok();
                Passed::Hidden
            }
            None => Passed::AsItCame,
        }
    }

    /// A chunk that comes before the one that was passed last, which had the id that it lacked.
    pub(crate) fn held(&mut self) -> Option<Bytes> {
        self.held.as_ref().zip(self.id.as_ref())?;
        let held = self.held.take()?;
        Some(self.with_one_id(held.as_bytes()).unwrap_or_else(|| held.into()))
    }

    /// The last chunk, of the usage and the `cost`, for a caller who asked for it: the provider's; else one of what is
    /// known of the `usage`.
    pub(crate) fn last(&mut self, usage: Option<Usage>, cost: Usd) -> Option<Bytes> {
        if !self.wants_usage {
            return None;
        }
        let chunk = self.usage.take().or_else(|| self.chunk_of(usage?))?;
        Some(with_cost(&chunk, cost))
    }

    fn chunk_of(&self, usage: Usage) -> Option<Bytes> {
        let id = self.id.as_ref().map_or("\"\"", |id| id.text.as_str());
        let (object, begun) = (self.object, &self.begun);
        let usage = serde_json::to_string(&usage).ok()?;
        Some(format!(r#"{{"id":{id},"object":"{object}",{begun}"choices":[],"usage":{usage}}}"#).into())
    }

    /// Keeps what the chunk says of the usage, for who asked for it, and tells whether it says nothing else. Many
    /// providers say it along with the last choice.
    fn takes_usage(&mut self, data: &[u8]) -> bool {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(data) else { return false };
        let Some(usage) = head.usage else { return false };
        if head.choices.is_empty() {
            if self.wants_usage {
                self.usage = Some(self.with_one_id(data).unwrap_or_else(|| Bytes::copy_from_slice(data)));
            }
            return true;
        }
        if self.wants_usage {
            let id = self.id.as_ref().map(|id| id.text.as_str()).or(head.id.map(RawValue::get));
            let object = head.object.map(RawValue::get);
            let named = named([("id", id), ("object", object)]) + &said_of_all(head.created, head.model);
            self.usage = Some(format!(r#"{{{named}"choices":[],"usage":{}}}"#, usage.get()).into());
        }
        false
    }

    /// The chunk under the first chunk's id; `None` where it has that one.
    fn with_one_id(&mut self, data: &[u8]) -> Option<Bytes> {
        if self.id.as_ref().is_some_and(|id| id.is_in(data)) {
            return None;
        }
        let text = std::str::from_utf8(data).ok()?;
        let Envelope { id: own, created, model } = serde_json::from_str(text).ok()?;
        let span = own.map(|own| span_of(text, own.get()));
        let Some(id) = &self.id else {
            // An empty one is none.
            let (own, span) = own.filter(|own| own.get() != r#""""#).zip(span)?;
            // Only what begins like this is known to have the id at its top, without being read.
            let comes_first = text[..span.start].trim_end().trim_end_matches(':').trim_end() == "{\"id\"";
            let prefix = if comes_first { data[..span.end].to_vec() } else { Vec::new() };
            let suffix = plain_end(text, span.start).unwrap_or_default().as_bytes().to_vec();
            self.id = Some(Id { text: own.get().to_owned(), prefix, suffix });
            if self.wants_usage {
                self.begun = said_of_all(created, model);
            }
            return None;
        };
        match span {
            Some(span) if text[span.clone()] == id.text => None,
            Some(span) => Some([&text[..span.start], &id.text, &text[span.end..]].concat().into()),
            // It has none at all.
            None => Some(text.replacen('{', &format!(r#"{{"id":{},"#, id.text), 1).into()),
        }
    }
}

/// The end of `chunk` from the comma before its id on, whose value begins at `id`. With nothing but plain values in it, the
/// brace that ends it is that of the whole chunk, and so is the id before it, in any other chunk that ends like this, too:
/// within a string its quotes would not stand so.
fn plain_end(chunk: &str, id: usize) -> Option<&str> {
    let name = chunk[..id].trim_end().strip_suffix(':')?.trim_end().strip_suffix("\"id\"")?;
    let comma = name.trim_end().strip_suffix(',')?.len();
    let end = &chunk[comma..];
    let is_plain = !end.strip_suffix('}')?.contains(['{', '}', '[', ']', '\\']);
    is_plain.then_some(end)
}

/// What all chunks say of their answer, as it stands in JSON before other fields.
fn said_of_all(created: Option<&RawValue>, model: Option<&RawValue>) -> String {
    named([("created", created.map(RawValue::get)), ("model", model.map(RawValue::get))])
}

/// The fields that there are, each with a comma behind it.
fn named(fields: [(&str, Option<&str>); 2]) -> String {
    fields.iter().filter_map(|(name, value)| Some(format!(r#""{name}":{},"#, (*value)?))).collect()
}

/// Whether the chunk has an empty id and no choice, as what Azure says of the prompt has.
fn says_nothing_of_the_answer(data: &[u8]) -> bool {
    let head: Result<Head<'_>, _> = serde_json::from_slice(data);
    head.is_ok_and(|head| head.choices.is_empty() && head.id.is_some_and(|id| id.get() == r#""""#))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: &str = "chat.completion.chunk";
    const USAGE: &str = r#"{"id":"c1","choices":[],"usage":{"total_tokens":5}}"#;

    fn pass(manners: &mut Manners, data: &str, reported: bool) -> Passed {
        manners.pass(data.as_bytes(), reported)
    }

    fn instead(text: &str) -> Passed {
        Passed::Instead(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn all_chunks_get_the_first_ones_id() {
        let mut manners = Manners::new(false, CHUNK);
        assert_eq!(pass(&mut manners, r#"{"id": "c1","choices":[{}]}"#, false), Passed::AsItCame);
        for (chunk, expected) in [
            (r#"{"id": "c1","choices":[]}"#, Passed::AsItCame),
            (r#"{"choices":[],"id":"c1"}"#, Passed::AsItCame),
            (r#"{"id":"c2","choices":[{"id":"c2"}]}"#, instead(r#"{"id":"c1","choices":[{"id":"c2"}]}"#)),
            (r#"{"choices":[{"id":"c2"}],"id":"c2"}"#, instead(r#"{"choices":[{"id":"c2"}],"id":"c1"}"#)),
            (r#"{"choices":[{"id":"c1"}]}"#, instead(r#"{"id":"c1","choices":[{"id":"c1"}]}"#)),
            ("", Passed::AsItCame),
        ] {
            assert_eq!(pass(&mut manners, chunk, false), expected, "{chunk}");
        }
    }

    #[test]
    fn an_empty_id_is_none_and_what_comes_before_the_id_waits_for_it() {
        let mut manners = Manners::new(false, CHUNK);
        let of_the_prompt = r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[]}"#;
        assert_eq!((pass(&mut manners, of_the_prompt, false), manners.held()), (Passed::Hidden, None));
        assert_eq!(pass(&mut manners, r#"{"id":"c1","choices":[{}]}"#, false), Passed::AsItCame);
        let with_id = of_the_prompt.replace(r#""id":"""#, r#""id":"c1""#);
        assert_eq!((manners.held().as_deref(), manners.held()), (Some(with_id.as_bytes()), None));
        assert_eq!(pass(&mut manners, r#"{"id":"","choices":[]}"#, false), instead(r#"{"id":"c1","choices":[]}"#));

        let mut nameless = Manners::new(false, CHUNK);
        for _ in 0..2 {
            assert_eq!(pass(&mut nameless, r#"{"id":"","choices":[{}]}"#, false), Passed::AsItCame);
        }
    }

    #[test]
    fn a_usage_chunk_is_for_those_who_asked_and_comes_last_with_the_cost() {
        for (wants_usage, expected) in [(false, None), (true, Some(r#"{"total_tokens":5,"cost":2.5}"#))] {
            let mut manners = Manners::new(wants_usage, CHUNK);
            assert_eq!(pass(&mut manners, r#"{"id":"c0","choices":[{}]}"#, false), Passed::AsItCame);
            assert_eq!(pass(&mut manners, USAGE, true), Passed::Hidden);
            let last = manners.last(Some(Usage::default()), "2.5".parse().expect("an amount"));
            let expected = expected.map(|usage| format!(r#"{{"id":"c0","choices":[],"usage":{usage}}}"#));
            assert_eq!(last, expected.map(Bytes::from));
        }
    }

    #[test]
    fn usage_along_with_the_last_choice_is_repeated_alone_for_those_who_asked() {
        let along = r#"{"id":"c1","created":7,"model":"m","choices":[{"index":0}],"usage":{"total_tokens":5,"x":1}}"#;
        let usage = Some(Usage { total_tokens: 5, ..Usage::default() });
        let mut silent = Manners::new(false, CHUNK);
        assert_eq!((pass(&mut silent, along, true), silent.last(usage, Usd::ZERO)), (Passed::AsItCame, None));
        let mut manners = Manners::new(true, CHUNK);
        assert_eq!(pass(&mut manners, along, true), Passed::AsItCame);
        let expected = r#"{"id":"c1","created":7,"model":"m","choices":[],"usage":{"total_tokens":5,"x":1,"cost":0}}"#;
        assert_eq!(manners.last(usage, Usd::ZERO).as_deref(), Some(expected.as_bytes()));
        assert_eq!(Manners::new(true, CHUNK).last(None, Usd::ZERO), None, "nothing is made up");
    }

    #[test]
    fn usage_that_no_chunk_said_comes_in_one_with_all_that_the_others_have() {
        let begun = r#"{"id":"c1","object":"text_completion","created":7,"model":"m","choices":[{"text":"Hi"}]}"#;
        let mut manners = Manners::new(true, "text_completion");
        assert_eq!(pass(&mut manners, begun, false), Passed::AsItCame);
        let usage = Usage { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
        let last = manners.last(Some(usage), Usd::ZERO);
        let usage = r#"{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"cost":0}"#;
        let expected =
            format!(r#"{{"id":"c1","object":"text_completion","created":7,"model":"m","choices":[],"usage":{usage}}}"#);
        assert_eq!(last.as_deref(), Some(expected.as_bytes()));
    }

    #[test]
    fn an_id_that_comes_after_all_that_changes_is_known_by_the_end() {
        let first = r#"{"choices":[{"delta":{"content":"a"}}],"created":1, "id" : "c1","model":"m"}"#;
        let mut manners = Manners::new(false, CHUNK);
        assert_eq!(pass(&mut manners, first, false), Passed::AsItCame);
        let id = manners.id.as_ref().expect("an id");
        assert_eq!(std::str::from_utf8(&id.suffix), Ok(r#", "id" : "c1","model":"m"}"#));
        assert!(id.is_in(first.replace(r#""a""#, r#""b""#).as_bytes()));
        // Another id, none, or one of something else.
        for (chunk, expected) in [
            (r#"{"choices":[],"id":"c2","model":"m"}"#, r#"{"choices":[],"id":"c1","model":"m"}"#),
            (r#"{"choices":[],"model":"m"}"#, r#"{"id":"c1","choices":[],"model":"m"}"#),
            (r#"{"x":{"y":1, "id" : "c1","model":"m"}}"#, r#"{"id":"c1","x":{"y":1, "id" : "c1","model":"m"}}"#),
        ] {
            assert_eq!(pass(&mut manners, chunk, false), Passed::Instead(expected.into()));
        }
        for end in [r#","id":"c1","x":{"a":1}}"#, r#","id":"c1","x":[1]}"#, r#","id":"c1","x":"\n"}"#] {
            let chunk = format!(r#"{{"choices":[]{end}"#);
            let mut manners = Manners::new(false, CHUNK);
            pass(&mut manners, &chunk, false);
            assert!(manners.id.is_some_and(|id| id.suffix.is_empty()), "{chunk}");
        }
    }
}
