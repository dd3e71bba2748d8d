//! The models of the configuration as routing knows them.

use super::{ConditionConfig, ModelConfig, StrategyConfig, SwitchConfig, TargetConfig};
use crate::accounts::PriceTable;
use crate::domain::routing::Route;
use crate::domain::strategy::{Choice, Condition, Plan, Strategy};

impl SwitchConfig {
    /// Every configured model and where it leads; what the targets cost is in `prices`, where they do not say so
    /// themselves.
    pub(crate) fn routes(&self, prices: &PriceTable) -> Vec<(String, Route)> {
        self.all_models().into_iter().map(|(name, model)| (name, model.route(prices))).collect()
    }
}

impl ModelConfig {
    /// What `cheapest` goes by, one for each target: their own prices where one of them has one, which may be in
    /// anything; else dollars for a million tokens read and a million written.
    pub(super) fn prices(&self, prices: &PriceTable) -> Vec<Option<f64>> {
        let own = self.targets.iter().any(|target| target.price.is_some());
        let listed = |target: &TargetConfig| {
            let (_, model) = target.target.split_once('/')?;
            prices.of_a_million(model)
        };
        self.targets.iter().map(|target| if own { target.price } else { listed(target) }).collect()
    }

    fn route(self, prices: &PriceTable) -> Route {
        let prices = self.prices(prices);
        let strategy = match self.strategy {
            StrategyConfig::Ordered => Strategy::Ordered,
            StrategyConfig::Weighted => Strategy::Weighted,
            StrategyConfig::LeastLatency => Strategy::LeastLatency,
            StrategyConfig::Cheapest => Strategy::Cheapest,
        };
        let choices = self.targets.into_iter().zip(prices).map(|(target, price)| target.choice(price)).collect();
        let shadow = self.shadow.map(|shadow| (shadow.target, shadow.percent));
        Route { plan: Plan { strategy, sticky: self.sticky, choices }, larger: self.context_fallback, shadow }
    }
}

impl TargetConfig {
    fn choice(self, price: Option<f64>) -> Choice {
        let Self { target, weight, canary, when, price: _ } = self;
        Choice { name: target, weight, price, canary, when: when.condition() }
    }
}

impl ConditionConfig {
    fn condition(self) -> Condition {
        Condition {
            headers: self.header.into_iter().collect(),
            tags: self.tag.into_iter().collect(),
            min_bytes: self.min_prompt_bytes.unwrap_or_default(),
            max_bytes: self.max_prompt_bytes,
            orgs: self.org,
        }
    }
}
