//! Where OpenAI's wire is spoken at Azure: the model is a deployment in the path, and in the body of a request for a
//! response.
//!
//! Source: Azure OpenAI's REST API reference, "Chat completions", "Completions" and "Embeddings"; its guide to the v1
//! API, which has no dated versions.

use url::Url;

use crate::domain::operation::Operation;

/// The version of the API that is asked for where the configuration names none: the last one that Azure calls stable.
pub(super) const API_VERSION: &str = "2024-10-21";

/// Where the deployment `model` is asked for `operation`, under an address such as `https://x.openai.azure.com`.
pub(super) fn url(base_url: &Url, operation: Operation, model: &str, api_version: &str) -> Url {
    let mut url = base_url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["openai", "deployments", model]).extend(operation.path().split('/'));
    }
    url.query_pairs_mut().append_pair("api-version", api_version);
    url
}

/// Where responses are asked for, under the same address.
pub(super) fn responses_url(base_url: &Url) -> Url {
    let mut url = base_url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["openai", "v1", "responses"]);
    }
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
            assert_eq!(url(&"https://h/".parse().expect("a URL"), Operation::Chat, model, "v").as_str(), expected);
        }
        let embeddings = url(&"https://h".parse().expect("a URL"), Operation::Embeddings, "e", "v");
        assert_eq!(embeddings.as_str(), "https://h/openai/deployments/e/embeddings?api-version=v");
        let responses = responses_url(&"https://h/".parse().expect("a URL"));
        assert_eq!(responses.as_str(), "https://h/openai/v1/responses");
    }
}
