//! How much a field of a chunk says, about, in tokens, without a copy of it.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::accounts::estimate_tokens;

/// How much a field says that is usually text, in tokens.
pub(super) fn said(field: Option<&RawValue>) -> u64 {
    match field.map(RawValue::get) {
        None => 0,
        Some(text) => match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            // An escape counts as it is written: an estimate needs no copy.
            Some(text) => estimate_tokens(text),
            None => serde_json::from_str(text).map_or(0, |Said(tokens)| tokens),
        },
    }
}

/// How much a field says, whatever its type, in tokens; 0 where it holds nothing.
#[derive(Default)]
pub(super) struct Said(pub(super) u64);

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
