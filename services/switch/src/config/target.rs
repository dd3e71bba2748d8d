//! One target of a model: `provider/model`, or a table that says more about it.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Where a model may lead.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetConfig {
    /// `provider/model`.
    pub target: String,
    /// With `weighted`: how often it is chosen beside the others; 0: only as a fallback. Default 1.
    pub weight: u32,
    /// With `cheapest`: its price, in whatever all prices of the model are in. Where no target has one, the price
    /// table's.
    pub price: Option<f64>,
    /// It is tried out with this many of a hundred requests, 0 to 100, and is the last resort for the others.
    pub canary: Option<u8>,
    /// Which requests it is for; absent: all.
    pub when: ConditionConfig,
}

/// Which requests a target is for: those to which all of this applies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConditionConfig {
    /// Headers and the values that they must have.
    pub header: BTreeMap<String, String>,
    /// Entries of the body's `metadata` and the values that they must have.
    pub tag: BTreeMap<String, String>,
    /// The body has at least this many bytes.
    pub min_prompt_bytes: Option<usize>,
    /// The body has at most this many bytes.
    pub max_prompt_bytes: Option<usize>,
    /// The organisation of the caller's key is one of these; with the shared token, what `x-vx11-org` says.
    pub org: Vec<String>,
}

/// A target that gets a copy of requests whose answers nobody sees.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShadowConfig {
    /// `provider/model`.
    pub target: String,
    /// Of a hundred requests, how many are copied. Default 100.
    #[serde(default = "all")]
    pub percent: u8,
}

fn all() -> u8 {
    100
}

/// The table's form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    target: String,
    #[serde(default = "one")]
    weight: u32,
    price: Option<f64>,
    canary: Option<u8>,
    #[serde(default)]
    when: ConditionConfig,
}

fn one() -> u32 {
    1
}

impl TargetConfig {
    /// Whether every request may go there.
    pub(super) fn is_for_everyone(&self) -> bool {
        self.canary.is_none() && self.when == ConditionConfig::default()
    }
}

impl From<&str> for TargetConfig {
    fn from(target: &str) -> Self {
        Self { target: target.to_owned(), weight: 1, price: None, canary: None, when: ConditionConfig::default() }
    }
}

impl<'de> Deserialize<'de> for TargetConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = TargetConfig;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`provider/model`, or a table with `target`")
            }

            fn visit_str<E>(self, target: &str) -> Result<TargetConfig, E> {
                Ok(target.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<TargetConfig, A::Error> {
                let Table { target, weight, price, canary, when } =
                    Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(TargetConfig { target, weight, price, canary, when })
            }
        }
        deserializer.deserialize_any(Either)
    }
}
