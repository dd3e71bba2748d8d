//! The models of the configuration as routing knows them.

use super::{ConditionConfig, ModelConfig, StrategyConfig, SwitchConfig, TargetConfig};
use crate::domain::routing::Route;
use crate::domain::strategy::{Choice, Condition, Plan, Strategy};

impl SwitchConfig {
    /// Every configured model and where it leads.
    pub(crate) fn routes(&self) -> Vec<(String, Route)> {
        self.all_models().into_iter().map(|(name, model)| (name, model.route())).collect()
    }
}

impl ModelConfig {
    fn route(self) -> Route {
        let strategy = match self.strategy {
            StrategyConfig::Ordered => Strategy::Ordered,
            StrategyConfig::Weighted => Strategy::Weighted,
            StrategyConfig::LeastLatency => Strategy::LeastLatency,
            StrategyConfig::Cheapest => Strategy::Cheapest,
        };
        let choices = self.targets.into_iter().map(TargetConfig::choice).collect();
        let shadow = self.shadow.map(|shadow| (shadow.target, shadow.percent));
        Route { plan: Plan { strategy, sticky: self.sticky, choices }, larger: self.context_fallback, shadow }
    }
}

impl TargetConfig {
    fn choice(self) -> Choice {
        let Self { target, weight, price, canary, when } = self;
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
