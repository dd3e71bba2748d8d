//! What an API key may ask of the gateway, and spend there: given with the key, and changed later.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

/// The limits of one key, beside those of its organisation. What is absent is not limited. A limit that an older service
/// does not know does not keep it from reading the others (ADR 7); who asks for limits, asks for a [`KeyLimitsChange`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
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
    #[serde(deserialize_with = "said_budget", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<NewBudget>)]
    pub budget: Option<Option<KeyBudget>>,
}

/// Money that may be spent from now on.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBudget {
    /// US dollars: more than 0, with at most 12 decimals.
    #[schema(exclusive_minimum = 0, maximum = 1_000_000)]
    usd: f64,
    /// In which time.
    #[serde(default)]
    period: BudgetPeriod,
}

fn said_budget<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<KeyBudget>>, D::Error> {
    let budget = Option::<NewBudget>::deserialize(deserializer)?;
    Ok(Some(budget.map(|NewBudget { usd, period }| KeyBudget { usd, period })))
}

/// Limits that are asked for: one that nobody knows is a mistake.
pub(super) fn asked<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyLimits>, D::Error> {
    Ok(Option::<KeyLimitsChange>::deserialize(deserializer)?.map(KeyLimits::from))
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

impl From<KeyLimitsChange> for KeyLimits {
    /// The limits of a key that had none.
    fn from(change: KeyLimitsChange) -> Self {
        Self::default().changed(change)
    }
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
    use crate::identity::{IntrospectedCaller, NewKey};

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
    fn who_asks_for_limits_names_them_right_and_who_is_told_of_them_reads_those_that_it_knows() {
        for mistaken in [json!({"rpm": 2}), json!({"budget": {"usd": 1, "window": "day"}})] {
            assert!(serde_json::from_value::<KeyLimitsChange>(mistaken.clone()).is_err());
            let key = json!({"name": "k", "role": "VIEWER", "scopes": ["gateway"], "limits": mistaken});
            assert!(serde_json::from_value::<NewKey>(key).is_err());
        }
        let told = json!({
            "org": "acme", "subject": "key:a", "role": "VIEWER", "scopes": ["gateway"], "expires_at": null,
            "limits": {"requests_per_minute": 2, "of_tomorrow": 1, "budget": {"usd": 1.0, "of_tomorrow": true}},
        });
        let limits = serde_json::from_value::<IntrospectedCaller>(told).expect("an older service reads it").limits;
        let budget = KeyBudget { usd: 1.0, period: BudgetPeriod::Month };
        let known = KeyLimits { requests_per_minute: Some(2), budget: Some(budget), ..KeyLimits::default() };
        assert_eq!(limits, Some(known));
    }
}
