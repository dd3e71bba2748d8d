//! The section `[switch]`: where it listens, which providers there are, and which model names lead where.
//!
//! Three providers are built in (`mock`, `deepseek_r1`, `local`). What is configured under their names goes over them
//! field by field; any other name is one more provider. Keys are never part of the configuration: it names the variable
//! that holds one.

mod accounts;
mod cache;
mod provider;
mod retries;
mod routes;
mod target;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use vx11_chassis::config::{ConfigError, Urls};
use vx11_chassis::process::Section;

pub use accounts::{BudgetConfig, BudgetPeriod, KeyConfig, OrgConfig, PriceConfig, TeamConfig};
pub use cache::CacheConfig;
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
    /// Organisations that keys belong to, as far as they have budgets or teams.
    #[serde(skip_serializing)]
    pub orgs: BTreeMap<String, OrgConfig>,
    /// Tokens that are reserved for an answer whose request names no limit. Default 1000.
    pub assumed_output_tokens: u64,
    /// Where replicas share limits, budgets and what they know of providers, such as `redis://redis:6379`. Absent: each
    /// process is on its own.
    #[serde(skip_serializing)]
    pub redis_url: Option<SecretString>,
    /// Longest wait for Redis before this process counts and decides alone. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub redis_timeout: Duration,
}

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
            check_targets(&name, &model, &providers)?;
        }
        self.prices.iter().try_for_each(|(name, price)| price.check(name))?;
        self.orgs.iter().try_for_each(|(name, org)| org.check(name))?;
        self.keys.iter().try_for_each(|(name, key)| key.check(name, &self.orgs))?;
        if self.redis_timeout.is_zero() {
            return Err(ConfigError::unusable("switch.redis_timeout", "must be longer than zero"));
        }
        self.cache.check()?;
        self.retries.check()
    }
}

/// The two parts of a target.
fn split_target(target: &str) -> Option<(&str, &str)> {
    target.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
}

fn check_targets(
    model: &str,
    config: &ModelConfig,
    providers: &BTreeMap<String, ProviderConfig>,
) -> Result<(), ConfigError> {
    let field = |part: &str| format!("switch.models.{model}.{part}");
    if model.is_empty() || model.contains('*') {
        return Err(ConfigError::unusable(
            format!("switch.models.{model}"),
            "a model name is not empty and has no `*`",
        ));
    }
    if config.targets.is_empty() {
        return Err(ConfigError::unusable(field("targets"), "must name at least one `provider/model`"));
    }
    let mut any_enabled = false;
    for (index, target) in config.targets.iter().enumerate() {
        let provider = check_target(format!("{}[{index}]", field("targets")), &target.target, providers)?;
        // So that there is somewhere to go, whatever a request says.
        any_enabled |= provider.enabled && target.is_for_everyone();
        if target.canary.is_some_and(|percent| percent > 100) {
            return Err(ConfigError::unusable(format!("{}[{index}].canary", field("targets")), "must be 0 to 100"));
        }
    }
    if let Some(shadow) = &config.shadow {
        check_target(field("shadow.target"), &shadow.target, providers)?;
        if shadow.percent > 100 {
            return Err(ConfigError::unusable(field("shadow.percent"), "must be 0 to 100"));
        }
    }
    for (index, target) in config.context_fallback.iter().enumerate() {
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

#[cfg(test)]
mod tests {
    use vx11_chassis::config::Settings;
    use vx11_chassis::process::section;

    use super::*;

    fn load(variables: &[(&str, &str)]) -> Result<SwitchConfig, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        section(&Settings::load(None, variables)?)
    }

    fn load_file(toml: &str) -> Result<SwitchConfig, ConfigError> {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("vx11.toml");
        std::fs::write(&file, toml).expect("written");
        section(&Settings::load(Some(&file), [])?)
    }

    fn targets(config: &SwitchConfig, model: &str) -> Vec<String> {
        config.all_models()[model].targets.iter().map(|target| target.target.clone()).collect()
    }

    #[test]
    fn without_configuration_there_are_the_built_in_providers_and_a_default_route() {
        let config = load(&[]).expect("valid");
        let urls = Urls { mock_provider: "http://mock.test:9/".parse().expect("a URL"), ..Urls::default() };
        let providers = config.all_providers(&urls);
        assert_eq!(providers.keys().collect::<Vec<_>>(), ["deepseek_r1", "local", "mock"]);
        assert_eq!(providers["mock"].base_url.as_ref().expect("set").as_str(), "http://mock.test:9/v1");
        assert_eq!(targets(&config, DEFAULT_MODEL), ["mock/mock"]);
    }

    #[test]
    fn variables_change_one_field_of_a_built_in_provider_and_the_default_route() {
        let config = load(&[
            ("VX11_SWITCH__PROVIDERS__LOCAL__BASE_URL", "http://127.0.0.1:9999/v1"),
            ("VX11_SWITCH__PROVIDERS__LOCAL__TIMEOUT", "2s"),
            ("VX11_SWITCH__MODELS__DEFAULT__TARGETS", r#"["local/smollm2","mock/mock"]"#),
        ])
        .expect("valid");
        let local = &config.all_providers(&Urls::default())["local"];
        assert_eq!(local.base_url.as_ref().expect("set").as_str(), "http://127.0.0.1:9999/v1");
        assert_eq!((local.timeout, local.stream_idle_timeout), (Duration::from_secs(2), Duration::from_secs(15)));
        assert_eq!(local.models.as_deref().expect("kept"), ["local*"]);
        assert_eq!(targets(&config, DEFAULT_MODEL), ["local/smollm2", "mock/mock"]);
    }

    #[test]
    fn a_file_adds_providers_and_models() {
        let config = load_file(
            r#"
            [switch.providers.groq]
            base_url = "https://api.groq.test/openai/v1"
            api_key_env = "GROQ_API_KEY"
            models = ["llama-3.3-70b", "qwen*"]
            breaker = { failure_threshold = 9 }
            prefill = true
            [switch.models.fast]
            strategy = "least_latency"
            sticky = true
            targets = ["groq/llama-3.3-70b", { target = "mock/mock", weight = 3, when = { tag = { tier = "free" } } }]
            shadow = { target = "mock/mock-small", percent = 5 }
            on_divergence = "error"
            "#,
        )
        .expect("valid");
        let groq = &config.all_providers(&Urls::default())["groq"];
        assert_eq!((groq.breaker.failure_threshold, groq.breaker.open_for), (9, Duration::from_secs(30)));
        assert_eq!((groq.default_model(), groq.prefill), (Some("llama-3.3-70b"), true));
        let models = config.all_models();
        let fast = &models["fast"];
        assert_eq!((fast.strategy, fast.sticky), (StrategyConfig::LeastLatency, true));
        assert_eq!((fast.targets[0].weight, fast.targets[1].weight), (1, 3));
        assert_eq!(fast.targets[1].when.tag["tier"], "free");
        assert_eq!(fast.shadow.as_ref().map(|shadow| shadow.percent), Some(5));
        assert_eq!(fast.on_divergence, OnDivergence::Error);
        assert_eq!(models[DEFAULT_MODEL].on_divergence, OnDivergence::Continue);
    }

    #[test]
    fn mistakes_name_their_field() {
        let mistakes = [
            ("[switch.models.m]\ntargets = []", "switch.models.m.targets: "),
            ("[switch.models.m]\ntargets = [\"mock\"]", "switch.models.m.targets[0]: "),
            (
                "[switch.models.m]\ntargets = [\"mock/a\", \"nobody/b\"]",
                "switch.models.m.targets[1]: there is no provider `nobody`",
            ),
            (
                "[switch.models.m]\ntargets = [{ target = \"mock/a\", canary = 101 }]",
                "switch.models.m.targets[0].canary: ",
            ),
            ("[switch.models.m]\ntargets = [{ target = \"mock/a\", canary = 5 }]", "switch.models.m.targets: "),
            (
                "[switch.models.m]\ntargets = [\"mock/a\"]\nshadow = { target = \"x\" }",
                "switch.models.m.shadow.target: ",
            ),
            ("[switch.cache]\nttl = \"0s\"", "switch.cache.ttl: "),
            ("[switch.cache]\nmax_bytes = 9", "switch.cache.max_answer_bytes: "),
            ("[switch.retries]\nattempts = 3", "switch.retries.attempts: "),
            ("[switch.providers.mock]\nconcurrency = { min = 5, max = 4 }", "switch.providers.mock.concurrency: "),
            ("[switch.providers.mock]\nenabled = false", "switch.models.default.targets: "),
            ("[switch.providers.mock]\ntimeout = \"0s\"", "switch.providers.mock.timeout: "),
            (
                "[switch.providers.mock]\nbreaker = { failure_threshold = 0 }",
                "switch.providers.mock.breaker.failure_threshold: ",
            ),
            ("[switch.providers.mock]\nmodels = [\"a*b\"]", "switch.providers.mock.models[0]: "),
            ("[switch.providers.x]\nmodels = [\"a\"]", "switch.providers.x.base_url: "),
            (
                "[switch.providers.x]\nmodels = [\"a*\"]\nbase_url = \"http://x/v1\"",
                "switch.providers.x.default_model: ",
            ),
            ("[switch.providers.x]\nmodels = [\"a\"]\nbase_url = \"ftp://x/v1\"", "switch.providers.x.base_url: "),
            (
                "[switch.providers.x]\nmodels = [\"a\"]\nbase_url = \"http://x\"\napi_version = \"1\"",
                "switch.providers.x.api_version: ",
            ),
            (
                "[switch.providers.x]\nkind = \"anthropic\"\nmodels = [\"a\"]\ndefault_max_tokens = 0",
                "switch.providers.x.default_max_tokens: ",
            ),
            ("[switch.providers.\"x/y\"]\nmodels = [\"a\"]\nbase_url = \"http://x/v1\"", "switch.providers.x/y: "),
            ("[switch.prices.\"a*b\"]\ninput = 1\noutput = 1", "switch.prices.a*b: "),
            ("[switch.prices.a]\ninput = 0.0000001\noutput = 1", "switch.prices.a.input: "),
            ("[switch.keys.k]", "switch.keys.k: needs either `sha256` or `secret_env`"),
            ("[switch.keys.k]\nsha256 = \"abc\"", "switch.keys.k.sha256: "),
            ("[switch.keys.\"k k\"]\nsecret_env = \"K\"", "switch.keys.k k: a name is"),
            ("[switch.keys.internal]\nsecret_env = \"K\"", "switch.keys.internal: "),
            ("[switch.keys.k]\nsecret_env = \"K\"\norg = \"o\"\nteam = \"t\"", "switch.keys.k.team: "),
            ("[switch.orgs.\"o:o\"]", "switch.orgs.o:o: "),
        ];
        for (toml, expected) in mistakes {
            let error = load_file(toml).expect_err(toml).to_string();
            assert!(error.starts_with(expected), "{toml}\n{error}");
        }
        assert!(
            load_file("[switch.providers.mock]\ntimeuot = \"1s\"")
                .expect_err("misspelt")
                .to_string()
                .contains("timeuot")
        );
    }

    #[test]
    fn a_kind_that_is_one_company_needs_no_address() {
        let config = load_file(
            r#"
            [switch.providers.claude]
            kind = "anthropic"
            models = ["claude-x"]
            [switch.providers.google]
            kind = "gemini"
            models = ["gemini-x"]
            [switch.providers.azure]
            kind = "azure-openai"
            base_url = "https://x.openai.azure.com"
            models = ["gpt-x"]
            api_version = "2024-10-21"
            "#,
        )
        .expect("valid");
        let providers = config.all_providers(&Urls::default());
        let address = |name: &str| providers[name].base_url().expect("known").to_string();
        assert_eq!(address("claude"), "https://api.anthropic.com/v1");
        assert_eq!(address("google"), "https://generativelanguage.googleapis.com/v1beta");
        assert_eq!(providers["azure"].kind.as_str(), "azure-openai");
    }

    #[test]
    fn a_password_in_a_url_is_refused_without_being_repeated() {
        let error = load_file("[switch.providers.x]\nmodels = [\"a\"]\nbase_url = \"http://u:hunter2@x/v1\"")
            .expect_err("refused");
        assert!(error.to_string().starts_with("switch.providers.x.base_url: "), "{error}");
        assert!(!error.to_string().contains("hunter2"));
    }
}
