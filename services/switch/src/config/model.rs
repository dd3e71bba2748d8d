//! One model name: its targets, and how one of them is chosen.

use std::collections::BTreeMap;

use serde::Deserialize;
use vx11_chassis::config::ConfigError;

use super::{ProviderConfig, ShadowConfig, TargetConfig};

/// Where one model name leads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// How the first target is chosen; the others are asked in turn when it fails. Default `ordered`.
    #[serde(default)]
    pub strategy: StrategyConfig,
    /// `provider/model`, or a table that says more.
    pub targets: Vec<TargetConfig>,
    /// Whether a session keeps its target: its draws are made from `x-vx11-session-id`, else from the body's `user`.
    #[serde(default)]
    pub sticky: bool,
    /// A target that gets copies of requests and whose answers nobody sees.
    #[serde(default)]
    pub shadow: Option<ShadowConfig>,
    /// `provider/model` of models that read more: asked when a request is too long for one of the targets.
    #[serde(default)]
    pub context_fallback: Vec<String>,
    /// What happens when a stream broke and the next target's answer differs from what was delivered.
    #[serde(default)]
    pub on_divergence: OnDivergence,
}

/// What happens when a stream broke and the next target's answer differs from what was delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDivergence {
    /// That target is told to go on from the partial text.
    #[default]
    Continue,
    /// The stream ends with an error.
    Error,
}

/// How the first target is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyConfig {
    /// As listed.
    #[default]
    Ordered,
    /// By chance, as often as its weight says.
    Weighted,
    /// The one of two, drawn by chance, that is expected to answer sooner.
    LeastLatency,
    /// The one of the lowest price.
    Cheapest,
}

impl ModelConfig {
    /// These targets, in this order, and nothing else.
    pub fn ordered<'t>(targets: impl IntoIterator<Item = &'t str>) -> Self {
        Self {
            strategy: StrategyConfig::Ordered,
            targets: targets.into_iter().map(TargetConfig::from).collect(),
            sticky: false,
            shadow: None,
            context_fallback: Vec::new(),
            on_divergence: OnDivergence::default(),
        }
    }

    /// Checks the model `name`, which may lead to `providers`.
    pub(super) fn check(&self, name: &str, providers: &BTreeMap<String, ProviderConfig>) -> Result<(), ConfigError> {
        let field = |part: &str| format!("switch.models.{name}.{part}");
        if name.is_empty() || name.contains('*') {
            return Err(ConfigError::unusable(
                format!("switch.models.{name}"),
                "a model name is not empty and has no `*`",
            ));
        }
        if self.targets.is_empty() {
            return Err(ConfigError::unusable(field("targets"), "must name at least one `provider/model`"));
        }
        let mut any_enabled = false;
        for (index, target) in self.targets.iter().enumerate() {
            let provider = check_target(format!("{}[{index}]", field("targets")), &target.target, providers)?;
            // So that there is somewhere to go, whatever a request says.
            any_enabled |= provider.enabled && target.is_for_everyone();
            if target.canary.is_some_and(|percent| percent > 100) {
                return Err(ConfigError::unusable(format!("{}[{index}].canary", field("targets")), "must be 0 to 100"));
            }
        }
        if let Some(shadow) = &self.shadow {
            check_target(field("shadow.target"), &shadow.target, providers)?;
            if shadow.percent > 100 {
                return Err(ConfigError::unusable(field("shadow.percent"), "must be 0 to 100"));
            }
        }
        for (index, target) in self.context_fallback.iter().enumerate() {
            check_target(format!("{}[{index}]", field("context_fallback")), target, providers)?;
        }
        if !any_enabled {
            return Err(ConfigError::unusable(
                field("targets"),
                "needs a target without `when` and `canary` whose provider is enabled",
            ));
        }
        Ok(())
    }
}

/// The provider of a target that can be used.
fn check_target<'p>(
    field: String,
    target: &str,
    providers: &'p BTreeMap<String, ProviderConfig>,
) -> Result<&'p ProviderConfig, ConfigError> {
    let Some((provider, _)) = split_target(target) else {
        return Err(ConfigError::unusable(field, format!("`{target}` is not of the form `provider/model`")));
    };
    providers.get(provider).ok_or_else(|| {
        let known: Vec<&str> = providers.keys().map(String::as_str).collect();
        ConfigError::unusable(field, format!("there is no provider `{provider}`; known: {}", known.join(", ")))
    })
}

/// The two parts of a target.
fn split_target(target: &str) -> Option<(&str, &str)> {
    target.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
}
