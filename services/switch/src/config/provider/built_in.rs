//! The providers that are there without configuration.

use std::collections::BTreeMap;

use url::Url;
use vx11_chassis::config::Urls;

use super::ProviderConfig;

/// The providers by name.
pub(in crate::config) fn built_in(urls: &Urls) -> BTreeMap<String, ProviderConfig> {
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
