//! One provider's settings, and the providers that are built in.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use url::Url;
use vx11_chassis::config::{ConfigError, Urls};
use vx11_resilience::BreakerConfig;

/// One provider. Limits have one default for all; the optional fields are what built-in providers bring themselves.
#[derive(Clone, Debug, Deserialize)]
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
    /// Names of the models it serves; a trailing `*` stands for any ending.
    pub models: Option<Vec<String>>,
    /// What it is asked for when only the provider was named; its first model without `*` where absent.
    pub default_model: Option<String>,
    /// Longest wait for a connection. Default 1 s.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// Longest wait for a whole answer, and for the first event of a stream. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest silence within a stream. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub stream_idle_timeout: Duration,
    /// Longest time that one stream may take. Default 300 s.
    #[serde(with = "humantime_serde")]
    pub stream_total_timeout: Duration,
    /// When it is no longer asked, and for how long.
    pub breaker: BreakerLimits,
    /// `false` takes it out of service.
    pub enabled: bool,
}

/// The wire that a provider speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
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

    /// Where the API begins of the one company that is meant by the kind.
    const fn own_address(self) -> Option<&'static str> {
        match self {
            Self::Openai | Self::AzureOpenai => None,
            Self::Anthropic => Some("https://api.anthropic.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com/v1beta"),
        }
    }
}

/// A provider's circuit breaker.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerLimits {
    /// Failures in a row that open it. Default 3.
    pub failure_threshold: u32,
    /// The pause before it is tried again. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failure_threshold: 3, open_for: Duration::from_secs(30) }
    }
}

impl From<BreakerLimits> for BreakerConfig {
    fn from(limits: BreakerLimits) -> Self {
        Self { failure_threshold: limits.failure_threshold, open_for: limits.open_for }
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
            models: None,
            default_model: None,
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(15),
            stream_idle_timeout: Duration::from_secs(15),
            stream_total_timeout: Duration::from_secs(300),
            breaker: BreakerLimits::default(),
            enabled: true,
        }
    }
}

impl ProviderConfig {
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
        let first = || self.models().iter().find(|name| !name.ends_with('*')).map(String::as_str);
        self.default_model.as_deref().or_else(first)
    }

    /// These settings, and `built_in`'s where they are silent.
    pub(super) fn over(self, built_in: Self) -> Self {
        // A default of the built-in's would hide the first of the models that take its models' place.
        let default_model = if self.models.is_some() { None } else { built_in.default_model };
        Self {
            base_url: self.base_url.or(built_in.base_url),
            api_key_env: self.api_key_env.or(built_in.api_key_env),
            models: self.models.or(built_in.models),
            default_model: self.default_model.or(default_model),
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
            let stem = pattern.strip_suffix('*').unwrap_or(pattern);
            if pattern.is_empty() || stem.contains('*') {
                return unusable(&format!(".models[{index}]"), "is a name, in which `*` may stand at the end only");
            }
        }
        if self.default_model().is_none_or(|model| model.is_empty() || model.contains('*')) {
            return unusable(".default_model", "is needed, because `models` has no plain name");
        }
        if self.api_version.is_some() && self.kind != ProviderKind::AzureOpenai {
            return unusable(".api_version", "is for providers of the kind `azure-openai` only");
        }
        if self.default_max_tokens == 0 {
            return unusable(".default_max_tokens", "must be at least 1");
        }
        let limits = [
            (".connect_timeout", self.connect_timeout),
            (".timeout", self.timeout),
            (".stream_idle_timeout", self.stream_idle_timeout),
            (".stream_total_timeout", self.stream_total_timeout),
            (".breaker.open_for", self.breaker.open_for),
        ];
        for (field, limit) in limits {
            if limit.is_zero() {
                return unusable(field, "must be longer than zero");
            }
        }
        if self.breaker.failure_threshold == 0 {
            return unusable(".breaker.failure_threshold", "must be at least 1");
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
