//! The section `[switch]`: where it listens, which providers there are, and which model names lead where.
//!
//! Three providers are built in (`mock`, `deepseek_r1`, `local`). What is configured under their names goes over them
//! field by field; any other name is one more provider. Keys are never part of the configuration: it names the variable
//! that holds one.

mod accounts;
mod cache;
mod hold;
mod identities;
mod model;
mod provider;
mod retries;
mod routes;
mod target;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use vx11_chassis::config::{Common, ConfigError, Urls};
use vx11_chassis::process::Section;

pub use accounts::{BudgetConfig, KeyConfig, OrgConfig, PriceConfig, TeamConfig};
pub use cache::CacheConfig;
pub(crate) use hold::LONGEST_WAIT;
pub use hold::{DecidedByConfig, HoldConfig, HoldLimitsConfig, PatternIn};
pub use identities::IdentitiesConfig;
pub use model::{ModelConfig, OnDivergence, StrategyConfig};
pub use provider::{BreakerLimits, ConcurrencyConfig, ProviderConfig, ProviderKind};
pub use retries::RetryConfig;
pub use target::{ConditionConfig, ShadowConfig, TargetConfig};

/// The model name that stands for "no model was asked for".
pub const DEFAULT_MODEL: &str = "default";

/// The gateway's own settings.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchConfig {
    /// The address to listen on.
    pub bind: SocketAddr,
    /// How long a stream may say nothing before its caller is sent a comment, so that proxies on the way keep it open.
    #[serde(with = "humantime_serde")]
    pub ping_interval: Duration,
    /// Providers by name, over the built-in ones.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Model names that the gateway itself defines; `default` serves `/switch/chat` without a model.
    #[serde(skip_serializing)]
    pub models: BTreeMap<String, ModelConfig>,
    /// When a target that failed is asked again.
    pub retries: RetryConfig,
    /// Whether a provider that fails is no longer asked for a while; `false`: breakers count, and never open.
    pub use_circuit_breakers: bool,
    /// Answers that are kept for who asks the same again.
    pub cache: CacheConfig,
    /// What models cost, by name or pattern, over the shipped table.
    #[serde(skip_serializing)]
    pub prices: BTreeMap<String, PriceConfig>,
    /// Keys that callers of `/v1` may present in place of the shared token.
    #[serde(skip_serializing)]
    pub keys: BTreeMap<String, KeyConfig>,
    /// Organisations that keys belong to, as far as they have limits, budgets or teams; the operator's organisations by
    /// their ids.
    #[serde(skip_serializing)]
    pub orgs: BTreeMap<String, OrgConfig>,
    /// Requests that wait for a person, by rules.
    #[serde(skip_serializing)]
    pub holds: Vec<HoldConfig>,
    /// How many of them there may be.
    pub hold_limits: HoldLimitsConfig,
    /// What is taken for granted of callers with an API key or access token of the operator's.
    pub identities: IdentitiesConfig,
    /// Tokens that are reserved for an answer whose request names no limit. Default 1000.
    pub assumed_output_tokens: u64,
    /// Where replicas share limits, budgets and what they know of providers, where that is another Redis than the one
    /// that all services have (`VX11_REDIS_URL`).
    #[serde(skip_serializing)]
    pub redis_url: Option<SecretString>,
    /// Longest wait for Redis before this process counts and decides alone. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub redis_timeout: Duration,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8002)),
            ping_interval: Duration::from_secs(15),
            providers: BTreeMap::new(),
            models: BTreeMap::new(),
            cache: CacheConfig::default(),
            prices: BTreeMap::new(),
            keys: BTreeMap::new(),
            orgs: BTreeMap::new(),
            holds: Vec::new(),
            hold_limits: HoldLimitsConfig::default(),
            identities: IdentitiesConfig::default(),
            assumed_output_tokens: 1000,
            redis_url: None,
            redis_timeout: Duration::from_millis(100),
            retries: RetryConfig::default(),
            use_circuit_breakers: true,
        }
    }
}

impl SwitchConfig {
    /// Every provider, the built-in ones included, disabled ones too.
    pub fn all_providers(&self, urls: &Urls) -> BTreeMap<String, ProviderConfig> {
        let mut all = provider::built_in(urls);
        for (name, configured) in &self.providers {
            let merged = match all.remove(name) {
                Some(built_in) => configured.clone().over(built_in),
                None => configured.clone(),
            };
            all.insert(name.clone(), merged);
        }
        all
    }

    /// The Redis that its replicas share, and the name of the setting; `None`: each process is on its own.
    pub(crate) fn redis<'c>(&'c self, common: &'c Common) -> Option<(&'static str, &'c SecretString)> {
        let own = self.redis_url.as_ref().map(|url| ("switch.redis_url", url));
        own.or_else(|| common.redis_url.as_ref().map(|url| ("VX11_REDIS_URL", url)))
    }

    /// The variables that hold the secrets of providers and callers, or whose `_FILE` names a file that does.
    pub(crate) fn secret_variables(&self) -> Vec<String> {
        let providers = self.all_providers(&Urls::default());
        let providers = providers.values().flat_map(ProviderConfig::key_variables).map(str::to_owned);
        providers.chain(self.keys.values().filter_map(|key| key.secret_env.clone())).collect()
    }

    /// Whether somebody means to use the provider `name`: it is configured, or a target; the built-in ones need not be.
    pub(crate) fn names_provider(&self, name: &str) -> bool {
        let of_provider = |target: &str| target.split_once('/').is_some_and(|(provider, _)| provider == name);
        let names = |model: &ModelConfig| {
            let targets = model.targets.iter().map(|target| &target.target);
            let shadow = model.shadow.iter().map(|shadow| &shadow.target);
            targets.chain(&model.context_fallback).chain(shadow).any(|target| of_provider(target))
        };
        self.providers.contains_key(name) || self.models.values().any(names)
    }

    /// Every model name that is configured, `default` included.
    pub fn all_models(&self) -> BTreeMap<String, ModelConfig> {
        let mut all = self.models.clone();
        all.entry(DEFAULT_MODEL.to_owned()).or_insert_with(|| ModelConfig::ordered(["mock/mock"]));
        all
    }
}

impl Section for SwitchConfig {
    const NAME: &'static str = "switch";

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.ping_interval.is_zero() {
            return Err(ConfigError::unusable("switch.ping_interval".to_owned(), "must be longer than zero"));
        }
        let providers = self.all_providers(&Urls::default());
        for (name, provider) in &providers {
            provider.check(name)?;
        }
        for (name, model) in self.all_models() {
            model.check(&name, &providers)?;
        }
        self.prices.iter().try_for_each(|(name, price)| price.check(name))?;
        self.orgs.iter().try_for_each(|(name, org)| org.check(name))?;
        self.keys.iter().try_for_each(|(name, key)| key.check(name, &self.orgs))?;
        if self.redis_timeout.is_zero() {
            return Err(ConfigError::unusable("switch.redis_timeout", "must be longer than zero"));
        }
        self.hold_rules()?;
        self.cache.check()?;
        self.identities.check()?;
        self.retries.check()
    }
}

#[cfg(test)]
mod tests;
