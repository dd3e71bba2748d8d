//! Where OpenAI's wire is spoken at Azure: the model is a deployment in the path.
//!
//! Source: Azure OpenAI's REST API reference, "Chat completions".

use url::Url;

/// The version of the API that is asked for where the configuration names none: the last one that Azure calls stable.
pub(super) const API_VERSION: &str = "2024-10-21";

/// Where the deployment `model` is asked for chat completions, under an address such as `https://x.openai.azure.com`.
pub(super) fn chat_url(base_url: &Url, model: &str, api_version: &str) -> Url {
    let mut url = base_url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["openai", "deployments", model, "chat", "completions"]);
    }
    url.query_pairs_mut().append_pair("api-version", api_version);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deployment_is_one_segment_of_the_path() {
        for (model, expected) in [
            ("gpt-4o", "https://h/openai/deployments/gpt-4o/chat/completions?api-version=v"),
            ("a/../b?c", "https://h/openai/deployments/a%2F..%2Fb%3Fc/chat/completions?api-version=v"),
        ] {
            assert_eq!(chat_url(&"https://h/".parse().expect("a URL"), model, "v").as_str(), expected);
        }
    }
}
