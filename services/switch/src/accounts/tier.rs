//! How urgently a provider served a call. Callers may choose it, and providers charge for it: what counts is what the answer
//! says, because they do not always do as they are asked.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

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
        struct Name;
        impl<'de> Visitor<'de> for Name {
            type Value = Tier;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a tier")
            }

            fn visit_str<E>(self, name: &str) -> Result<Tier, E> {
                Ok(Tier::named(name))
            }

            fn visit_unit<E>(self) -> Result<Tier, E> {
                Ok(Tier::Standard)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Tier, E> {
                Ok(Tier::Standard)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Tier, E> {
                Ok(Tier::Standard)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Tier, E> {
                Ok(Tier::Standard)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Tier, E> {
                Ok(Tier::Standard)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tier, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Tier::Standard)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tier, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Tier::Standard)
            }
        }
        deserializer.deserialize_any(Name)
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
