//! What can be used and is probably not what was meant: said at the start and by `check-config`, and refused by neither.

use super::{StrategyConfig, SwitchConfig};
use crate::accounts::PriceTable;

impl SwitchConfig {
    /// What somebody should look at, each with its field.
    pub(crate) fn warnings(&self, prices: &PriceTable) -> Vec<String> {
        self.orgs_without_entry().chain(self.targets_without_price(prices)).collect()
    }

    /// An organisation without an entry is one without a budget; beside others that have entries it may be a misspelt one.
    fn orgs_without_entry(&self) -> impl Iterator<Item = String> {
        let keys = self.keys.iter().filter(|_| !self.orgs.is_empty());
        keys.filter_map(|(name, key)| {
            let org = key.org.as_ref().filter(|org| !self.orgs.contains_key(*org))?;
            Some(format!("switch.keys.{name}.org: `{org}` is not in `switch.orgs`: it has no budget"))
        })
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
