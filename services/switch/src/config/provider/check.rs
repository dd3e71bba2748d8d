//! What the types of a provider's settings cannot express.

use vx11_chassis::config::ConfigError;

use super::{ProviderConfig, ProviderKind};
use crate::domain::name_pattern::NamePattern;

impl ProviderConfig {
    pub(in crate::config) fn check(&self, name: &str) -> Result<(), ConfigError> {
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
            (".timeout", self.answer_limits().0),
            (".stream_idle_timeout", self.stream_idle_timeout),
            (".stream_total_timeout", self.stream_total_timeout),
            (".ttft_timeout", self.answer_limits().1),
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
