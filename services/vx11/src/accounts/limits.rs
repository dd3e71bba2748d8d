//! The limits of a key, as the command line gives them and shows them.

use std::str::FromStr;

use clap::Args;
use vx11_contracts::identity::{BudgetPeriod, KeyBudget, KeyLimits, KeyLimitsChange};

/// What a key may ask of the gateway, and spend there. `none` lifts a limit.
#[derive(Args)]
pub(crate) struct LimitArguments {
    /// Requests in each minute.
    #[arg(long, value_name = "REQUESTS")]
    rpm: Option<Limit<u64>>,
    /// Requests in each day, UTC.
    #[arg(long, value_name = "REQUESTS")]
    rpd: Option<Limit<u64>>,
    /// Tokens in each minute, read and written.
    #[arg(long, value_name = "TOKENS")]
    tpm: Option<Limit<u64>>,
    /// Tokens in each day, UTC.
    #[arg(long, value_name = "TOKENS")]
    tpd: Option<Limit<u64>>,
    /// US dollars that it may spend.
    #[arg(long, value_name = "USD")]
    budget: Option<Limit<f64>>,
    /// In which time: day, month or total.
    #[arg(long, value_name = "PERIOD", default_value = "month", value_parser = period, requires = "budget")]
    budget_period: BudgetPeriod,
    /// Models that it may ask for, with commas between; a trailing `*` stands for any ending.
    #[arg(long)]
    models: Option<Limit<Models>>,
}

/// A limit, or that there is none.
#[derive(Clone)]
struct Limit<T>(Option<T>);

#[derive(Clone)]
struct Models(Vec<String>);

impl<T: FromStr> FromStr for Limit<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|limit| Self(Some(limit))) }
    }
}

impl FromStr for Models {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.split(',').map(str::to_owned).collect()))
    }
}

fn period(name: &str) -> Result<BudgetPeriod, String> {
    let all = [BudgetPeriod::Day, BudgetPeriod::Month, BudgetPeriod::Total];
    all.into_iter().find(|period| period.as_str() == name).ok_or_else(|| "must be day, month or total".to_owned())
}

impl LimitArguments {
    /// What is to change of a key's limits.
    pub(super) fn change(self) -> KeyLimitsChange {
        let period = self.budget_period;
        KeyLimitsChange {
            models: self.models.map(|Limit(models)| models.map(|Models(models)| models)),
            requests_per_minute: self.rpm.map(|limit| limit.0),
            requests_per_day: self.rpd.map(|limit| limit.0),
            tokens_per_minute: self.tpm.map(|limit| limit.0),
            tokens_per_day: self.tpd.map(|limit| limit.0),
            budget: self.budget.map(|Limit(usd)| usd.map(|usd| KeyBudget { usd, period })),
        }
    }
}

/// Limits as a list shows them: `rpm=60 budget=25/month`; `-` where there are none.
pub(super) fn shown(limits: Option<&KeyLimits>) -> String {
    let Some(limits) = limits else { return "-".to_owned() };
    let counts = [
        ("rpm", limits.requests_per_minute),
        ("rpd", limits.requests_per_day),
        ("tpm", limits.tokens_per_minute),
        ("tpd", limits.tokens_per_day),
    ];
    let counts = counts.into_iter().filter_map(|(name, limit)| Some(format!("{name}={}", limit?)));
    let budget = limits.budget.map(|budget| format!("budget={}/{}", budget.usd, budget.period.as_str()));
    let models = limits.models.as_ref().map(|models| format!("models={}", models.join(",")));
    counts.chain(budget).chain(models).collect::<Vec<_>>().join(" ")
}
