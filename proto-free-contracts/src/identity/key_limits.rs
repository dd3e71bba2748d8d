//! What an API key may ask of the gateway, and spend there: given with the key, and changed later.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// The limits of one key, beside those of its organisation. What is absent is not limited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimits {
    /// Models that it may ask for, 1 to 100; a trailing `*` stands for any ending.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 100)]
    pub models: Option<Vec<String>>,
    /// Requests in each minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub requests_per_minute: Option<u64>,
    /// Requests in each day, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub requests_per_day: Option<u64>,
    /// Tokens in each minute, read and written.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub tokens_per_minute: Option<u64>,
    /// Tokens in each day, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub tokens_per_day: Option<u64>,
    /// What it may spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<KeyBudget>,
}

/// Money that may be spent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyBudget {
    /// US dollars: more than 0, with at most 12 decimals.
    #[schema(exclusive_minimum = 0, maximum = 1_000_000)]
    pub usd: f64,
    /// In which time.
    #[serde(default)]
    pub period: BudgetPeriod,
}

/// The time that a budget is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BudgetPeriod {
    /// Each day, UTC.
    Day,
    /// Each month of the calendar, UTC.
    #[default]
    Month,
    /// Once and for all.
    Total,
}

/// A change of a key's limits: what is absent stays, what is `null` is not limited any more (as RFC 7396 has it).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KeyLimitsChange {
    /// Models that it may ask for.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    pub models: Option<Option<Vec<String>>>,
    /// Requests in each minute.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub requests_per_minute: Option<Option<u64>>,
    /// Requests in each day, UTC.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub requests_per_day: Option<Option<u64>>,
    /// Tokens in each minute, read and written.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub tokens_per_minute: Option<Option<u64>>,
    /// Tokens in each day, UTC.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 1_000_000_000_000_i64)]
    pub tokens_per_day: Option<Option<u64>>,
    /// What it may spend, as a whole.
    #[serde(deserialize_with = "said", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<KeyBudget>)]
    pub budget: Option<Option<KeyBudget>>,
}

/// `null` is something that was said.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `PATCH /operator/api/keys/{id}`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyChange {
    /// What it may ask of the gateway, and spend there, from now on.
    pub limits: KeyLimitsChange,
}

impl KeyLimits {
    /// The limits as they are after `change`.
    #[must_use]
    pub fn changed(self, change: KeyLimitsChange) -> Self {
        Self {
            models: change.models.unwrap_or(self.models),
            requests_per_minute: change.requests_per_minute.unwrap_or(self.requests_per_minute),
            requests_per_day: change.requests_per_day.unwrap_or(self.requests_per_day),
            tokens_per_minute: change.tokens_per_minute.unwrap_or(self.tokens_per_minute),
            tokens_per_day: change.tokens_per_day.unwrap_or(self.tokens_per_day),
            budget: change.budget.unwrap_or(self.budget),
        }
    }

    /// These, where anything is limited.
    pub fn some(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

impl BudgetPeriod {
    /// The period as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
            Self::Total => "total",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_change_what_is_absent_stays_and_null_lifts_a_limit() {
        let budget = KeyBudget { usd: 5.0, period: BudgetPeriod::Day };
        let before = KeyLimits { requests_per_minute: Some(2), budget: Some(budget), ..KeyLimits::default() };
        let change = |said| serde_json::from_value::<KeyLimitsChange>(said).expect("a change");
        let after = before.clone().changed(change(json!({"requests_per_minute": 9, "budget": null})));
        assert_eq!(after, KeyLimits { requests_per_minute: Some(9), ..KeyLimits::default() });
        assert_eq!(before.clone().changed(change(json!({}))), before);
        assert_eq!(after.changed(change(json!({"requests_per_minute": null}))).some(), None);
    }

    #[test]
    fn a_name_that_is_no_limit_is_a_mistake_and_not_ignored() {
        assert!(serde_json::from_value::<KeyLimits>(json!({"rpm": 2})).is_err());
        assert!(serde_json::from_value::<KeyLimitsChange>(json!({"budget": {"usd": 1, "window": "day"}})).is_err());
    }
}
