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
        if self.id.as_ref().is_some_and(|id| !id.prefix.is_empty() && data.starts_with(&id.prefix)) {
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
            self.id = Some(Id { text: own.get().to_owned(), prefix });
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
}
