//! Why an answer ended, as far as it matters whether it is one.
//!
//! Some providers break an answer off under the words in which others end one. What ends so is no answer: it is neither
//! handed on as one nor kept.

use serde::de::{Deserialize, Deserializer};

use crate::named::named;

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
        named(deserializer, |reason| match reason {
            "" => Self::None,
            reason if is_given_up(reason) => Self::GivenUp,
            _ => Self::Ended,
        })
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
