//! The section `[switch]`: where it listens, which providers there are, and which model names lead where.
//!
//! Three providers are built in (`mock`, `deepseek_r1`, `local`). What is configured under their names goes over them
//! field by field; any other name is one more provider. Keys are never part of the configuration: it names the variable
//! that holds one.

mod provider;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Deserialize;
use vx11_chassis::config::{ConfigError, Urls};
use vx11_chassis::process::Section;

pub use provider::{BreakerLimits, ProviderConfig, ProviderKind};

/// The model name that stands for "no model was asked for".
pub const DEFAULT_MODEL: &str = "default";

/// The gateway's own settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwitchConfig {
    /// The address to listen on.
    pub bind: SocketAddr,
    /// Providers by name, over the built-in ones.
    pub providers: BTreeMap<String, ProviderConfig>,
    /// Model names that the gateway itself defines; `default` serves `/switch/chat` without a model.
    pub models: BTreeMap<String, ModelConfig>,
}

/// Where one model name leads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// `provider/model`, first choice first; the next one is asked when the one before it fails.
    pub targets: Vec<String>,
}

impl Default for SwitchConfig {
    fn default() -> Self {
        Self { bind: SocketAddr::from(([127, 0, 0, 1], 8002)), providers: BTreeMap::new(), models: BTreeMap::new() }
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
        all.entry(DEFAULT_MODEL.to_owned()).or_insert_with(|| ModelConfig { targets: vec!["mock/mock".to_owned()] });
        all
    }
}

impl Section for SwitchConfig {
    const NAME: &'static str = "switch";

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn check(&self) -> Result<(), ConfigError> {
        let providers = self.all_providers(&Urls::default());
        for (name, provider) in &providers {
            provider.check(name)?;
        }
        for (name, model) in self.all_models() {
            check_targets(&name, &model.targets, &providers)?;
        }
        Ok(())
    }
}

/// The two parts of a target.
pub(crate) fn split_target(target: &str) -> Option<(&str, &str)> {
    target.split_once('/').filter(|(provider, model)| !provider.is_empty() && !model.is_empty())
}

fn check_targets(
    model: &str,
    targets: &[String],
    providers: &BTreeMap<String, ProviderConfig>,
) -> Result<(), ConfigError> {
    let field = format!("switch.models.{model}.targets");
    if model.is_empty() || model.contains('*') {
        return Err(ConfigError::unusable(
            format!("switch.models.{model}"),
            "a model name is not empty and has no `*`",
        ));
    }
    if targets.is_empty() {
        return Err(ConfigError::unusable(field, "must name at least one `provider/model`"));
    }
    let mut any_enabled = false;
    for (index, target) in targets.iter().enumerate() {
        let field = format!("{field}[{index}]");
        let Some((provider, _)) = split_target(target) else {
            return Err(ConfigError::unusable(field, format!("`{target}` is not of the form `provider/model`")));
        };
        let Some(provider) = providers.get(provider) else {
            let known: Vec<&str> = providers.keys().map(String::as_str).collect();
            let problem = format!("there is no provider `{provider}`; known: {}", known.join(", "));
            return Err(ConfigError::unusable(field, problem));
        };
        any_enabled |= provider.enabled;
    }
    if !any_enabled {
        return Err(ConfigError::unusable(field, "every provider it names is disabled"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    #[test]
    fn without_configuration_there_are_the_built_in_providers_and_a_default_route() {
        let config = load(&[]).expect("valid");
        let urls = Urls { mock_provider: "http://mock.test:9/".parse().expect("a URL"), ..Urls::default() };
        let providers = config.all_providers(&urls);
        assert_eq!(providers.keys().collect::<Vec<_>>(), ["deepseek_r1", "local", "mock"]);
        assert_eq!(providers["mock"].base_url.as_ref().expect("set").as_str(), "http://mock.test:9/v1");
        assert_eq!(config.all_models()[DEFAULT_MODEL].targets, ["mock/mock"]);
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
        assert_eq!(config.all_models()[DEFAULT_MODEL].targets, ["local/smollm2", "mock/mock"]);
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
            [switch.models.fast]
            targets = ["groq/llama-3.3-70b", "mock/mock"]
            "#,
        )
        .expect("valid");
        let groq = &config.all_providers(&Urls::default())["groq"];
        assert_eq!((groq.breaker.failure_threshold, groq.breaker.open_for), (9, Duration::from_secs(30)));
        assert_eq!(groq.default_model(), Some("llama-3.3-70b"));
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
