//! What can be used and is probably not what was meant: said at the start and by `check-config`, and refused by
//! neither.

use super::{StrategyConfig, SwitchConfig};
use crate::accounts::{INTERNAL, PriceTable};
use crate::domain::name_pattern::NamePattern;

impl SwitchConfig {
    /// What somebody should look at, each with its field.
    pub(crate) fn warnings(&self, prices: &PriceTable) -> Vec<String> {
        let unpriced = self.targets_without_price(prices).chain(self.models_without_price(prices));
        self.orgs_without_entry().chain(unpriced).chain(self.holds_of_nobody()).collect()
    }

    /// A rule for a key that there is not holds nothing. Names with a colon are the operator's to give.
    fn holds_of_nobody(&self) -> impl Iterator<Item = String> {
        let rules = self.holds.iter().enumerate();
        rules.flat_map(|(place, rule)| {
            let unknown =
                rule.keys.iter().filter(|key| *key != INTERNAL && !key.contains(':') && !self.keys.contains_key(*key));
            unknown.map(move |key| format!("switch.holds[{place}].keys: there is no key `{key}` in `switch.keys`"))
        })
    }

    /// An organisation without an entry is one without a budget; beside others that have entries it may be a misspelt
    /// one.
    fn orgs_without_entry(&self) -> impl Iterator<Item = String> {
        let keys = self.keys.iter().filter(|_| !self.orgs.is_empty());
        keys.filter_map(|(name, key)| {
            let org = key.org.as_ref().filter(|org| !self.orgs.contains_key(*org))?;
            Some(format!("switch.keys.{name}.org: `{org}` is not in `switch.orgs`: it has no budget"))
        })
    }

    /// Who has a budget is not let to models without a price, and what cannot be estimated waits for a person.
    fn models_without_price(&self, prices: &PriceTable) -> Vec<String> {
        let told = [
            (self.has_budgets(), "keys with a budget cannot use it"),
            (
                self.holds.iter().any(|rule| rule.min_cost_usd.is_some()),
                "rules with `min_cost_usd` hold all requests for it",
            ),
        ];
        let told: Vec<&str> = told.into_iter().filter_map(|(applies, what)| applies.then_some(what)).collect();
        if told.is_empty() {
            return Vec::new();
        }
        let told = told.join(", and ");
        let served = self.providers.iter().flat_map(|(name, provider)| {
            let named = provider.models.iter().flatten().filter_map(|pattern| NamePattern::of(pattern).name());
            named.map(move |model| (format!("switch.providers.{name}.models"), model))
        });
        let routed = self.models.iter().flat_map(|(name, model)| {
            let targets = model.targets.iter().map(|target| &target.target).chain(&model.context_fallback);
            targets.filter_map(move |target| Some((format!("switch.models.{name}"), target.split_once('/')?.1)))
        });
        let unpriced = served.chain(routed).filter(|(_, model)| prices.find(model).is_none());
        unpriced.map(|(field, model)| format!("{field}: `{model}` has no price: {told}")).collect()
    }

    fn has_budgets(&self) -> bool {
        let of_teams = self.orgs.values().flat_map(|org| org.teams.values().map(|team| team.budget));
        let of_orgs = self.orgs.values().map(|org| org.budget);
        self.keys.values().map(|key| key.budget).chain(of_orgs).chain(of_teams).any(|budget| budget.is_some())
    }

    /// `cheapest` asks them last.
    fn targets_without_price(&self, prices: &PriceTable) -> impl Iterator<Item = String> {
        let cheapest = self.models.iter().filter(|(_, model)| model.strategy == StrategyConfig::Cheapest);
        cheapest.flat_map(|(name, model)| {
            let priced = model.prices(prices);
            let unpriced = model.targets.iter().enumerate().zip(priced).filter(|(_, price)| price.is_none());
            let warning = |((index, target), _): ((usize, &super::TargetConfig), Option<f64>)| {
                let target = &target.target;
                format!("switch.models.{name}.targets[{index}]: `{target}` has no price: `cheapest` asks it last")
            };
            unpriced.map(warning).collect::<Vec<_>>()
        })
    }
}
