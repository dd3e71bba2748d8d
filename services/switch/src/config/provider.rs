//! One provider's settings, and the providers that are built in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;
use vx11_chassis::config::{ConfigError, Urls};
use vx11_resilience::{AdmissionConfig, BreakerConfig, FailureRate};

use crate::domain::name_pattern::NamePattern;

/// One provider. Limits have one default for all; the optional fields are what built-in providers bring themselves.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderConfig {
    /// The wire it speaks.
    pub kind: ProviderKind,
    /// Where its API begins, such as `https://api.deepseek.com/v1`. Absent: where the kind's own company has it.
    pub base_url: Option<Url>,
    /// The version of its API; only for `azure-openai`.
    pub api_version: Option<String>,
    /// Tokens that an answer may have where the caller sets no limit; only for `anthropic`, which insists on one.
    /// Default 4096.
    pub default_max_tokens: u64,
    /// The variable that holds its key, or, with `_FILE` appended, the path of a file that does. Absent: it needs none.
    pub api_key_env: Option<String>,
    /// More of the kind: while one key is refused or at its limit, the next one is used. Those that are not set are
    /// left out.
    pub api_key_envs: Option<Vec<String>>,
    /// How long a refused key is left alone. Absent: until the configuration is read again.
    #[serde(with = "humantime_serde")]
    pub key_dead_for: Option<Duration>,
    /// Names of the models it serves; a trailing `*` stands for any ending.
    pub models: Option<Vec<String>>,
    /// What it is asked for when only the provider was named; its first model without `*` where absent.
    pub default_model: Option<String>,
    /// Whether it has text completions (`/completions`); one without is asked for chat in their place. Default true.
    pub text_completions: Option<bool>,
    /// Whether it has OpenAI's Responses (`/responses`); one without is asked for chat in their place. Default
    /// false: its callers then share what it keeps for its account, and what it does by itself has no price here.
    pub responses: Option<bool>,
    /// Whether its streams are asked to report their usage, also where the caller does not ask. Default true.
    pub stream_usage: Option<bool>,
    /// Longest wait for a connection. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest wait for the first token of a stream; `timeout` where absent.
    #[serde(with = "humantime_serde")]
    pub ttft_timeout: Option<Duration>,
    /// Longest silence within a stream. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub stream_idle_timeout: Duration,
    /// Longest time that one stream may take. Default 300 s.
    #[serde(with = "humantime_serde")]
    pub stream_total_timeout: Duration,
    /// Whether its models go on from an assistant's message that stands last, so that a broken stream can be finished
    /// there without being answered anew. Default no; most refuse such a message or answer it.
    pub prefill: bool,
    /// When one of its models is no longer asked, and for how long.
    pub breaker: BreakerLimits,
    /// How many calls it gets at a time, and who waits.
    pub concurrency: ConcurrencyConfig,
    /// `false` takes it out of service.
    pub enabled: bool,
}

/// The wire that a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProviderKind {
    /// OpenAI's, and that of the many servers that are compatible with it.
    #[default]
    Openai,
    /// OpenAI's at Azure: deployments in the path, a version in the query, a header of its own for the key.
    AzureOpenai,
    /// Anthropic's Messages.
    Anthropic,
    /// Gemini's `generateContent`.
    Gemini,
}

impl ProviderKind {
    /// The kind as it stands in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
        }
    }

    /// Whether it speaks OpenAI's wire.
    const fn is_openais(self) -> bool {
        matches!(self, Self::Openai | Self::AzureOpenai)
    }

    /// Where the API begins of the one company that is meant by the kind.
    const fn own_address(self) -> Option<&'static str> {
        match self {
            Self::Openai | Self::AzureOpenai => None,
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
        }
    }
}

/// The circuit breaker of each model at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerLimits {
    /// Failures in a row that open it. Default 3.
    pub failure_threshold: u32,
    /// The pause before it is tried again. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
    /// The share of failures that opens it too; absent: only failures in a row do.
    pub failure_rate: Option<FailureRate>,
}

/// How many calls a provider gets at a time; the number adapts to what it bears.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConcurrencyConfig {
    /// To begin with. Default 100.
    pub initial: u32,
    /// The fewest it comes down to. Default 4.
    pub min: u32,
    /// The most it grows to. Default 1000.
    pub max: u32,
    /// Calls that wait for a place. Default 1000.
    pub queue: usize,
    /// Longest wait for a place. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
}

impl Default for ConcurrencyConfig {
    fn default() -> Self {
        let AdmissionConfig { initial, min, max, queue } = AdmissionConfig::default();
        Self { initial, min, max, queue, queue_timeout: Duration::from_secs(5) }
    }
}

impl From<ConcurrencyConfig> for AdmissionConfig {
    fn from(config: ConcurrencyConfig) -> Self {
        let ConcurrencyConfig { initial, min, max, queue, .. } = config;
        Self { initial, min, max, queue }
    }
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failure_threshold: 3, open_for: Duration::from_secs(30), failure_rate: None }
    }
}

impl From<BreakerLimits> for BreakerConfig {
    fn from(limits: BreakerLimits) -> Self {
        let BreakerLimits { failure_threshold, open_for, failure_rate } = limits;
        Self { enabled: true, failure_threshold, open_for, failure_rate }
    }
}

impl Default for ProviderConfig {
    fn default() -> Self {
        Self {
            kind: ProviderKind::Openai,
            base_url: None,
            api_version: None,
            default_max_tokens: 4096,
            api_key_env: None,
            api_key_envs: None,
            key_dead_for: None,
            models: None,
            default_model: None,
            text_completions: None,
            responses: None,
            stream_usage: None,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(15),
            ttft_timeout: None,
            stream_idle_timeout: Duration::from_secs(15),
            stream_total_timeout: Duration::from_secs(300),
            prefill: false,
            breaker: BreakerLimits::default(),
            concurrency: ConcurrencyConfig::default(),
            enabled: true,
        }
    }
}

impl ProviderConfig {
    /// The variables of its keys, in the order of their use, each once.
    pub fn key_variables(&self) -> Vec<&str> {
        let mut variables: Vec<&str> = Vec::new();
        for variable in self.api_key_env.iter().chain(self.api_key_envs.iter().flatten()) {
            if !variables.contains(&variable.as_str()) {
                variables.push(variable);
            }
        }
        variables
    }

    /// The names it serves.
    pub fn models(&self) -> &[String] {
        self.models.as_deref().unwrap_or_default()
    }

    /// Where its API begins.
    pub fn base_url(&self) -> Option<Url> {
        self.base_url.clone().or_else(|| Url::parse(self.kind.own_address()?).ok())
    }

    /// What it is asked for when only the provider was named.
    pub fn default_model(&self) -> Option<&str> {
        let first = || self.models().iter().find_map(|pattern| NamePattern::of(pattern).name());
        self.default_model.as_deref().or_else(first)
    }

    /// Whether it has text completions.
    pub fn has_text_completions(&self) -> bool {
        self.text_completions.unwrap_or(self.kind.is_openais())
    }

    /// Whether it has Responses.
    pub fn has_responses(&self) -> bool {
        self.responses.unwrap_or_default()
    }

    /// Whether its streams are asked to report their usage.
    pub fn asks_stream_usage(&self) -> bool {
        self.stream_usage.unwrap_or(true)
    }

    /// These settings, and `built_in`'s where they are silent.
    pub(super) fn over(self, built_in: Self) -> Self {
        // A default of the built-in's would hide the first of the models that take its models' place.
        let default_model = if self.models.is_some() { None } else { built_in.default_model };
        // Whoever names keys means these and no others.
        let api_key_env = if self.api_key_envs.is_some() { None } else { built_in.api_key_env };
        Self {
            base_url: self.base_url.or(built_in.base_url),
            api_key_env: self.api_key_env.or(api_key_env),
            models: self.models.or(built_in.models),
            default_model: self.default_model.or(default_model),
            text_completions: self.text_completions.or(built_in.text_completions),
            responses: self.responses.or(built_in.responses),
            stream_usage: self.stream_usage.or(built_in.stream_usage),
            ..self
        }
    }

    pub(super) fn check(&self, name: &str) -> Result<(), ConfigError> {
        let unusable =
            |field: &str, problem: &str| Err(ConfigError::unusable(format!("switch.providers.{name}{field}"), problem));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
            return unusable("", "a provider's name is visible ASCII without `/`");
        }
        let Some(url) = self.base_url() else { return unusable(".base_url", "is needed") };
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return unusable(".base_url", "must be an http or https address");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return unusable(".base_url", "must not hold credentials; name the key's variable in api_key_env");
        }
        for (index, pattern) in self.models().iter().enumerate() {
            if pattern.is_empty() || !NamePattern::of(pattern).is_sound() {
                return unusable(&format!(".models[{index}]"), "is a name, in which `*` may stand at the end only");
            }
        }
        if self.default_model().is_none_or(|model| model.is_empty() || model.contains('*')) {
            return unusable(".default_model", "is needed, because `models` has no plain name");
        }
        if self.api_version.is_some() && self.kind != ProviderKind::AzureOpenai {
            return unusable(".api_version", "is for providers of the kind `azure-openai` only");
        }
        if self.text_completions == Some(true) && !self.kind.is_openais() {
            return unusable(".text_completions", "is for providers of OpenAI's wire only");
        }
        if self.responses == Some(true) && !self.kind.is_openais() {
            return unusable(".responses", "is for providers of OpenAI's wire only");
        }
        if self.default_max_tokens == 0 {
            return unusable(".default_max_tokens", "must be at least 1");
        }
        let limits = [
            (".connect_timeout", self.connect_timeout),
            (".timeout", self.timeout),
            (".stream_idle_timeout", self.stream_idle_timeout),
            (".stream_total_timeout", self.stream_total_timeout),
            (".ttft_timeout", self.ttft_timeout.unwrap_or(self.timeout)),
            (".breaker.open_for", self.breaker.open_for),
            (".breaker.failure_rate.window", self.breaker.failure_rate.unwrap_or_default().window),
        ];
        for (field, limit) in limits {
            if limit.is_zero() {
                return unusable(field, "must be longer than zero");
            }
        }
        if self.breaker.failure_threshold == 0 {
            return unusable(".breaker.failure_threshold", "must be at least 1");
        }
        if let Some(rate) = self.breaker.failure_rate
            && !(1..=100).contains(&rate.percent)
        {
            return unusable(".breaker.failure_rate.percent", "must be 1 to 100");
        }
        if self.concurrency.min == 0 || self.concurrency.min > self.concurrency.max {
            return unusable(".concurrency", "needs a `min` of at least 1 and not above `max`");
        }
        if self.key_variables().iter().any(|variable| variable.is_empty()) {
            return unusable(".api_key_envs", "must name variables");
        }
        Ok(())
    }
}

/// The providers that are there without configuration.
pub(super) fn built_in(urls: &Urls) -> BTreeMap<String, ProviderConfig> {
    let mut mock_url = urls.mock_provider.clone();
    mock_url.set_path(&format!("{}/v1", urls.mock_provider.path().trim_end_matches('/')));
    let mock = ProviderConfig {
        base_url: Some(mock_url),
        models: Some(["mock", "mock-small", "mock-large", "mock-reasoner", "mock*"].map(str::to_owned).into()),
        default_model: Some("mock".to_owned()),
        text_completions: Some(false),
        ..ProviderConfig::default()
    };
    let deepseek_r1 = ProviderConfig {
        base_url: Url::parse("https://api.deepseek.com/v1").ok(),
        api_key_env: Some("DEEPSEEK_API_KEY".to_owned()),
        models: Some(vec!["deepseek-reasoner".to_owned()]),
        ..ProviderConfig::default()
    };
    let local = ProviderConfig {
        base_url: Url::parse("http://127.0.0.1:8080/v1").ok(),
        models: Some(vec!["local*".to_owned()]),
        default_model: Some("local".to_owned()),
        ..ProviderConfig::default()
    };
    [("mock", mock), ("deepseek_r1", deepseek_r1), ("local", local)].map(|(name, one)| (name.to_owned(), one)).into()
}
