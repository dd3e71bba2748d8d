//! What OpenTelemetry's conventions for generative AI call a provider.
//!
//! Source: the registry of `gen_ai.provider.name`. Where one of its names applies, no other may be used.

use url::Url;

use crate::config::ProviderKind;

/// Companies that have OpenAI's wire, by the host of their API.
const HOSTS: [(&str, &str); 6] = [
    ("api.openai.com", "openai"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
];

/// The name of the provider of this kind whose API is there. `None`: the conventions have none for it.
pub(super) fn name(kind: ProviderKind, base_url: &Url) -> Option<&'static str> {
    match kind {
        ProviderKind::Anthropic => Some("anthropic"),
        ProviderKind::Gemini => Some("gcp.gemini"),
        ProviderKind::AzureOpenai => Some("azure.ai.openai"),
        ProviderKind::Openai => {
            let known = HOSTS.iter().find(|(host, _)| base_url.host_str() == Some(host));
            known.map(|(_, name)| *name)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_conventions_is_used_where_there_is_one() {
        for (kind, base_url, expected) in [
            (ProviderKind::Anthropic, "https://proxy.example/v1", Some("anthropic")),
            (ProviderKind::AzureOpenai, "https://x.openai.azure.com", Some("azure.ai.openai")),
            (ProviderKind::Gemini, "https://generativelanguage.googleapis.com/v1beta", Some("gcp.gemini")),
            (ProviderKind::Openai, "https://api.openai.com/v1", Some("openai")),
            (ProviderKind::Openai, "https://api.deepseek.com/v1", Some("deepseek")),
            (ProviderKind::Openai, "http://127.0.0.1:8080/v1", None),
        ] {
            assert_eq!(name(kind, &base_url.parse().expect("a URL")), expected, "{base_url}");
        }
    }
}
