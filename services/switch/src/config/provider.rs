//! One provider's settings.

mod built_in;
mod check;
mod kind;
mod limits;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

pub(super) use built_in::built_in;
pub use kind::ProviderKind;
pub use limits::{BreakerLimits, ConcurrencyConfig};

use crate::domain::name_pattern::NamePattern;

/// Longest wait for a whole answer: what OpenAI's and Anthropic's own SDKs wait.
const ANSWER: Duration = Duration::from_secs(600);
/// Longest wait for the first token of a stream: a model may think before it.
const FIRST_TOKEN: Duration = Duration::from_secs(60);
/// Both, where a person waits for `/switch/chat` and madre can step in.
const CHAT: Duration = Duration::from_secs(15);

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
    /// Longest wait for a whole answer. Absent: 10 min, and for `/switch/chat` 15 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Option<Duration>,
    /// Longest wait for the first token of a stream. Absent: 60 s, or `timeout` where that is less; for `/switch/chat`
    /// as long as for a whole answer.
    #[serde(with = "humantime_serde")]
    pub ttft_timeout: Option<Duration>,
    /// Longest silence within a stream. Default 15 s.
    #[serde(with = "humantime_serde")]
    pub stream_idle_timeout: Duration,
    /// Longest time that one stream may take. Default 30 min.
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
            timeout: None,
            ttft_timeout: None,
            stream_idle_timeout: Duration::from_secs(15),
            stream_total_timeout: Duration::from_secs(1800),
            prefill: false,
            breaker: BreakerLimits::default(),
            concurrency: ConcurrencyConfig::default(),
            enabled: true,
        }
    }
}

impl ProviderConfig {
    /// Longest wait for a whole answer, and for the first token of a stream.
    pub fn answer_limits(&self) -> (Duration, Duration) {
        let answer = self.timeout.unwrap_or(ANSWER);
        (answer, self.ttft_timeout.unwrap_or(FIRST_TOKEN.min(answer)))
    }

    /// The same for `/switch/chat`: what is set holds there too.
    pub fn chat_limits(&self) -> (Duration, Duration) {
        let answer = self.timeout.unwrap_or(CHAT);
        (answer, self.ttft_timeout.unwrap_or(answer))
    }

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
}
