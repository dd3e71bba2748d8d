//! When two requests are the same: one key for one meaning.
//!
//! The order of fields, white space, escapes and ways to write a number do not matter, and neither do `stream` and
//! `stream_options`, which say how an answer is sent and not what it is, nor `metadata`, which labels a request and is
//! not shown to the model. `user` does: an end user is never shown what was written for another one. So does every
//! field that is not known here. Fields that come twice are kept twice, because readers differ in which of them they
//! take.

use std::borrow::Cow;
use std::fmt;

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::domain::operation::Operation;
use crate::domain::tools;
use crate::wire::Wire;

/// Fields of a body that make no difference. The model is part of the scope, where it may be another one.
const WITHOUT: &[&str] = &["model", "stream", "stream_options", "metadata"];
/// The same in Anthropic's wire, where `metadata` names the end user, and where an answer of a provider that speaks it
/// too is kept in the form that it came in.
const WITHOUT_IN_ANTHROPICS: &[&str] = &["model"];

/// What a request is known by: a digest, so that nobody can make two requests alike that are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

/// What sets requests apart that have the same body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    /// The organisation, or the key that belongs to none.
    pub(crate) tenant: &'a str,
    /// The organisation that a caller with the shared token names.
    pub(crate) org: &'a str,
    pub(crate) operation: Operation,
    pub(crate) wire: Wire,
    /// Headers that belong to the body.
    pub(crate) headers: &'a [(&'static str, String)],
    /// The model that is routed by.
    pub(crate) model: &'a str,
    /// Whether anybody but the first choice may answer.
    pub(crate) fallback: bool,
    /// Who may answer, each a provider's identity and its model; in which order does not matter. A configuration that
    /// is read again may count its providers differently.
    pub(crate) targets: &'a [(&'a str, &'a str)],
}

impl Key {
    /// The key of a request; `None` for one that is not to be answered twice with the same, or cannot be read.
    pub(crate) fn new(scope: Scope<'_>, body: &[u8]) -> Option<Self> {
        if acts(body) {
            return None;
        }
        let mut out = Vec::with_capacity(body.len() + 256);
        for text in [scope.tenant, scope.org, scope.operation.name(), scope.model] {
            write_text(&mut out, text);
        }
        for (name, value) in scope.headers {
            write_text(&mut out, name);
            write_text(&mut out, value);
        }
        out.extend_from_slice(&[b'.', scope.fallback.into(), (scope.wire == Wire::Anthropic).into()]);
        let mut targets = scope.targets.to_vec();
        targets.sort_unstable();
        for (provider, model) in targets {
            write_text(&mut out, provider);
            write_text(&mut out, model);
        }
        out.push(b'.');
        let mut reader = serde_json::Deserializer::from_slice(body);
        let without = if scope.wire == Wire::Anthropic { WITHOUT_IN_ANTHROPICS } else { WITHOUT };
        Normalised { out: &mut out, without }.deserialize(&mut reader).ok()?;
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, &out).as_ref());
        Some(Self(key))
    }
}

/// Whether the provider does something for the request beside answering it: keeps a record, or uses tools of its own,
/// which look at the world or act in it. Tools that the caller runs are but a part of the answer.
fn acts(body: &[u8]) -> bool {
    let mut reader = serde_json::Deserializer::from_slice(body);
    // What cannot be read is not kept.
    reader.deserialize_map(Acts).unwrap_or(true)
}

/// A field's name, borrowed where it is written plainly: a `Cow` by itself is always read into a `String`.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Reads of a body whether it acts.
struct Acts;

impl<'de> Visitor<'de> for Acts {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        #[derive(Deserialize)]
        struct Tool {
            #[serde(rename = "type")]
            kind: Option<String>,
        }
        let mut acts = false;
        while let Some(Name(name)) = map.next_key()? {
            acts |= match &*name {
                "store" => map.next_value::<Option<Value>>()?.is_some_and(|store| store != Value::Bool(false)),
                "tools" => {
                    let tools = map.next_value::<Option<Vec<Tool>>>()?.unwrap_or_default();
                    !tools.iter().all(|tool| tools::is_callers(tool.kind.as_deref()))
                }
                name if tools::ACTING.contains(&name) => map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
        }
        Ok(acts)
    }
}

/// Writes a JSON value so that equal values are equal bytes and others are not.
struct Normalised<'o> {
    out: &'o mut Vec<u8>,
    /// Fields that are left out: of the body itself, not of what is in it.
    without: &'static [&'static str],
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    out.extend_from_slice(&text.len().to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

impl<'de> DeserializeSeed<'de> for Normalised<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Normalised<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push(b'n');
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push(if value { b't' } else { b'f' });
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.out.push(b'+');
        self.out.extend_from_slice(&number.to_le_bytes());
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => {
                self.out.push(b'-');
                self.out.extend_from_slice(&number.to_le_bytes());
                Ok(())
            }
        }
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        // Up to here every whole number is one of its own.
        const WHOLE: f64 = 9_007_199_254_740_992.0;
        if number.fract() == 0.0 && number.abs() < WHOLE {
            return self.visit_i64(number as i64);
        }
        self.out.push(b'd');
        self.out.extend_from_slice(&number.to_bits().to_le_bytes());
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        write_text(self.out, text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.out.push(b'[');
        while list.next_element_seed(Normalised { out: self.out, without: &[] })?.is_some() {}
        self.out.push(b']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut fields: Vec<(Cow<'de, str>, Vec<u8>)> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            if self.without.contains(&&*name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let mut value = Vec::new();
            map.next_value_seed(Normalised { out: &mut value, without: &[] })?;
            fields.push((name, value));
        }
        // Stable: of a field that comes twice the order stays.
        fields.sort_by(|one, other| one.0.cmp(&other.0));
        self.out.push(b'{');
        for (name, value) in fields {
            write_text(self.out, &name);
            self.out.extend_from_slice(&value);
        }
        self.out.push(b'}');
        Ok(())
    }
}

#[cfg(test)]
mod tests;
