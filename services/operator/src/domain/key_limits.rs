//! Whether a key's limits can be meant as they were given.

use vx11_contracts::identity::{KeyLimits, Scope, Scopes};

use super::key_terms::Unfit;

/// Most requests or tokens that a limit lets through.
const MOST: u64 = 1_000_000_000_000;
/// Most US dollars of a budget; the gateway counts in 64 bits.
const MOST_USD: f64 = 1_000_000.0;
/// Decimals of the least amount that the gateway counts.
const DECIMALS: usize = 12;
/// Most patterns of models.
const MOST_MODELS: usize = 100;
/// Most characters of one.
const MODEL_CHARS: usize = 200;

/// Whether a key with these `scopes` can have these limits.
///
/// # Errors
/// [`Unfit`] where it can't.
pub(crate) fn check(limits: &KeyLimits, scopes: Scopes) -> Result<(), Unfit> {
    let unfit = |field, detail| Err(Unfit { field, detail });
    if !scopes.contains(Scope::Gateway) {
        return unfit("limits", "are for keys with the scope `gateway`: nothing else counts what a key uses");
    }
    let counts = [
        ("limits.requests_per_minute", limits.requests_per_minute),
        ("limits.requests_per_day", limits.requests_per_day),
        ("limits.tokens_per_minute", limits.tokens_per_minute),
        ("limits.tokens_per_day", limits.tokens_per_day),
    ];
    let is_out = |count: &u64| !(1..=MOST).contains(count);
    if let Some((field, _)) = counts.into_iter().find(|(_, count)| count.as_ref().is_some_and(is_out)) {
        // Elsewhere nothing means without a limit, so it means neither here.
        return unfit(field, "must be 1 to 1000000000000; without it there is no limit");
    }
    if limits.budget.is_some_and(|budget| !is_amount(budget.usd)) {
        return unfit("limits.budget.usd", "must be more than 0 and at most 1000000, with at most 12 decimals");
    }
    match &limits.models {
        Some(models) if !(1..=MOST_MODELS).contains(&models.len()) => {
            unfit("limits.models", "1 to 100; without it the key may ask for every model")
        }
        Some(models) if !models.iter().all(|model| is_pattern(model)) => {
            unfit("limits.models", "each a name of 1 to 200 characters; a `*` stands only at its end")
        }
        _ => Ok(()),
    }
}

fn is_amount(usd: f64) -> bool {
    // The shortest text that means this number is what was given.
    let decimals = usd.to_string().split_once('.').map_or(0, |(_, decimals)| decimals.len());
    usd > 0.0 && usd <= MOST_USD && decimals <= DECIMALS
}

fn is_pattern(model: &str) -> bool {
    let name = model.strip_suffix('*').unwrap_or(model);
    let chars = model.chars().count();
    (1..=MODEL_CHARS).contains(&chars) && !name.contains(|c: char| c == '*' || c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::{BudgetPeriod, KeyBudget};

    use super::*;

    fn problem(limits: &KeyLimits) -> Option<&'static str> {
        check(limits, [Scope::Gateway].into_iter().collect()).err().map(|unfit| unfit.field)
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let none = KeyLimits::default;
        let budget = |usd| KeyLimits { budget: Some(KeyBudget { usd, period: BudgetPeriod::Total }), ..none() };
        let models = |models: &[&str]| {
            let models = models.iter().map(|model| (*model).to_owned()).collect();
            KeyLimits { models: Some(models), ..none() }
        };
        for (limits, field) in [
            (KeyLimits { requests_per_minute: Some(0), ..none() }, "limits.requests_per_minute"),
            (KeyLimits { tokens_per_day: Some(u64::MAX), ..none() }, "limits.tokens_per_day"),
            (budget(0.0), "limits.budget.usd"),
            (budget(-1.0), "limits.budget.usd"),
            (budget(f64::NAN), "limits.budget.usd"),
            (budget(1e-13), "limits.budget.usd"),
            (budget(1_000_000.5), "limits.budget.usd"),
            (models(&[]), "limits.models"),
            (models(&["g*t"]), "limits.models"),
            (models(&["gpt", ""]), "limits.models"),
            (models(&["a\nb"]), "limits.models"),
        ] {
            assert_eq!(problem(&limits), Some(field), "{limits:?}");
        }
        for fine in [none(), budget(1e-12), budget(1_000_000.0), budget(0.15), models(&["*", "gpt-4o*", "a/b"])] {
            assert_eq!(problem(&fine), None, "{fine:?}");
        }
        let for_chats = check(&none(), [Scope::Chat].into_iter().collect());
        assert_eq!(for_chats.expect_err("not counted").field, "limits");
    }
}
