//! How urgently a provider served a call. Callers may choose it, and providers charge for it: what counts is what the
//! answer says, because they do not always do as they are asked.

use serde::de::{Deserialize, Deserializer};

use crate::named::named;

/// A provider's tier. One that has no price of its own is as the standard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tier {
    /// At the list price.
    #[default]
    Standard,
    /// When there is time for it.
    Flex,
    /// Before others; Anthropic's fast mode, too.
    Priority,
    /// Before those.
    Ultrafast,
}

impl Tier {
    fn named(name: &str) -> Self {
        match name {
            "flex" => Self::Flex,
            "priority" | "fast" => Self::Priority,
            "ultrafast" => Self::Ultrafast,
            _ => Self::Standard,
        }
    }
}

impl<'de> Deserialize<'de> for Tier {
    /// Whatever is no name of a tier is the standard one: an answer is not refused for that.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        named(deserializer, Self::named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tier_is_read_by_its_name_and_nothing_is_refused() {
        for (said, tier) in [
            (r#""flex""#, Tier::Flex),
            (r#""priority""#, Tier::Priority),
            (r#""fast""#, Tier::Priority),
            (r#""ultrafast""#, Tier::Ultrafast),
            (r#""default""#, Tier::Standard),
            ("null", Tier::Standard),
            ("[1]", Tier::Standard),
            (r#"{"a":1}"#, Tier::Standard),
            ("-1.5", Tier::Standard),
            ("true", Tier::Standard),
        ] {
            assert_eq!(serde_json::from_str::<Tier>(said).expect(said), tier, "{said}");
        }
    }
}
