//! Characters that arrive in two halves.
//!
//! JSON writes a character beyond the first 65 536 as two escapes, and a server that cuts its text by UTF-16 units may
//! end a chunk between them. Half a character is no text: readers refuse it, or never put it together. So a half at the
//! end of a delta is held back and begins the next one of the same place. One whose partner never comes becomes U+FFFD.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memchr;
use serde_json::value::RawValue;

use super::fields::{Fields, field, put, read, says, text};
use super::json_text;

/// The parts of a delta that are text.
const TEXTS: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];
/// Most halves that are held at a time; more choices and calls than anybody writes at once.
const MOST_HELD: usize = 256;
/// Bytes of one escape, and of the replacement.
const ESCAPE: usize = REPLACEMENT.len();
const REPLACEMENT: &[u8] = br"\ufffd";

/// The halves that wait for their partners.
#[derive(Debug, Default)]
pub(crate) struct Halves {
    held: BTreeMap<Place, u16>,
}

/// Whose text it is that was cut: the choice's number, and which of its texts.
type Place = (u64, Part);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// One of [`TEXTS`].
    Delta(&'static str),
    /// The arguments of the call of this number.
    Arguments(u64),
    /// What an older API has in place of a delta.
    Text,
}

impl Halves {
    /// The chunk in `data` with whole characters only. `None`: it is to be taken as it is.
    pub(crate) fn join(&mut self, data: &[u8]) -> Option<Box<RawValue>> {
        if self.held.is_empty() && halves(data).next().is_none() {
            return None;
        }
        let mut chunk: Fields = serde_json::from_slice(data).ok()?;
        let mut choices: Vec<Fields> = read(field(&chunk, "choices"))?;
        for choice in &mut choices {
            self.join_choice(choice);
        }
        put(&mut chunk, "choices", &choices);
        let mut joined = mend(serde_json::to_vec(&chunk).ok()?);
        // Those that may stand between values are no part of an event's one line.
        joined.iter_mut().filter(|byte| matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b' ');
        RawValue::from_string(String::from_utf8(joined).ok()?).ok()
    }

    fn join_choice(&mut self, choice: &mut Fields) {
        let index = read(field(choice, "index")).unwrap_or_default();
        let is_last = says(field(choice, "finish_reason"));
        let mut delta: Fields = read(field(choice, "delta")).unwrap_or_default();
        for name in TEXTS {
            self.join_text(&mut delta, name, (index, Part::Delta(name)), is_last);
        }
        self.join_calls(&mut delta, index, is_last);
        if !delta.is_empty() {
            put(choice, "delta", &delta);
        }
        self.join_text(choice, "text", (index, Part::Text), is_last);
        if is_last {
            // Arguments that end within a character are cut off, whatever is put there.
            self.held.retain(|(of, _), _| *of != index);
        }
    }

    fn join_calls(&mut self, delta: &mut Fields, choice: u64, is_last: bool) {
        let Some(mut calls) = read::<Vec<Fields>>(field(delta, "tool_calls")) else { return };
        for (place, call) in calls.iter_mut().enumerate() {
            let number = read(field(call, "index")).unwrap_or(place as u64);
            let Some(mut function) = read::<Fields>(field(call, "function")) else { continue };
            self.join_text(&mut function, "arguments", (choice, Part::Arguments(number)), is_last);
            put(call, "function", &function);
        }
        put(delta, "tool_calls", &calls);
    }

    /// Puts before a text the half that waits for it, and holds back the one at its end.
    fn join_text(&mut self, fields: &mut Fields, name: &str, place: Place, is_last: bool) {
        let came = field(fields, name).and_then(text).unwrap_or_default();
        let is_awaited = is_last && !matches!(place.1, Part::Arguments(_));
        if came.is_empty() && !(is_awaited && self.held.contains_key(&place)) {
            return;
        }
        let mut units: Vec<u16> = self.held.remove(&place).into_iter().chain(came).collect();
        if !is_last && json_text::ends_within_a_character(&units) && self.held.len() < MOST_HELD {
            self.held.extend(units.pop().map(|half| (place, half)));
        }
        if let Ok(joined) = RawValue::from_string(json_text::quoted(&units)) {
            fields.insert(name.to_owned(), joined);
        }
    }
}

/// `json` with U+FFFD in the place of every half that has no partner next to it.
pub(crate) fn mended(json: &[u8]) -> Cow<'_, [u8]> {
    match halves(json).next() {
        None => Cow::Borrowed(json),
        Some(_) => Cow::Owned(mend(json.to_vec())),
    }
}

fn mend(mut json: Vec<u8>) -> Vec<u8> {
    let lone: Vec<usize> = halves(&json).collect();
    for at in lone {
        json[at..at + ESCAPE].copy_from_slice(REPLACEMENT);
    }
    json
}

/// Where in `json` the escapes are that stand for half a character and have no partner.
fn halves(json: &[u8]) -> impl Iterator<Item = usize> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += memchr(b'\\', json.get(at..)?)?;
            let here = at;
            match escape(json, at) {
                None => at += 2,
                Some(0xd800..=0xdbff) if matches!(escape(json, at + ESCAPE), Some(0xdc00..=0xdfff)) => at += 2 * ESCAPE,
                Some(unit) => {
                    at += ESCAPE;
                    if matches!(unit, 0xd800..=0xdfff) {
                        return Some(here);
                    }
                }
            }
        }
    })
}

/// The code unit whose escape begins here.
fn escape(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(br"\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
