//! Why an answer ended, as far as it matters whether it is one.
//!
//! Some providers break an answer off under the words in which others end one. What ends so is no answer: it is neither
//! handed on as one nor kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The `finish_reason`s with which a provider gives an answer up: OpenRouter's and Mistral's, vLLM's, DeepSeek's.
const GIVEN_UP: [&str; 3] = ["error", "abort", "insufficient_system_resource"];

/// Whether a provider that gives this reason has given the answer up.
pub(crate) fn is_given_up(reason: &str) -> bool {
    GIVEN_UP.contains(&reason)
}

/// What a `finish_reason` says; it is read without being kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Nothing, or an empty text: some servers send one along with every chunk.
    #[default]
    None,
    /// The answer is as long as it gets.
    Ended,
    /// The provider gave it up.
    GivenUp,
}

impl<'de> Deserialize<'de> for Ending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reason;
        impl<'de> Visitor<'de> for Reason {
            type Value = Ending;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a reason or null")
            }

            fn visit_str<E>(self, reason: &str) -> Result<Ending, E> {
                Ok(match reason {
                    "" => Ending::None,
                    reason if is_given_up(reason) => Ending::GivenUp,
                    _ => Ending::Ended,
                })
            }

            fn visit_unit<E>(self) -> Result<Ending, E> {
                Ok(Ending::None)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Ending, E> {
                Ok(Ending::None)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Ending, E> {
                Ok(Ending::None)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Ending, E> {
                Ok(Ending::None)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Ending, E> {
                Ok(Ending::None)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Ending, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Ending::None)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Ending, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Ending::None)
            }
        }
        deserializer.deserialize_any(Reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn giving_up_is_no_end() {
        let of = |json: &str| serde_json::from_str::<Ending>(json).expect("JSON");
        for reason in ["stop", "length", "tool_calls", "content_filter", "what is new"] {
            assert_eq!(of(&format!("\"{reason}\"")), Ending::Ended, "{reason}");
        }
        for reason in GIVEN_UP {
            assert_eq!(of(&format!("\"{reason}\"")), Ending::GivenUp, "{reason}");
        }
        for nothing in ["null", "\"\"", "7", "false", "[1]", "{\"a\":1}"] {
            assert_eq!(of(nothing), Ending::None, "{nothing}");
        }
    }
}
