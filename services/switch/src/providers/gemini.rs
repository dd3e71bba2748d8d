//! Where Gemini's wire is spoken: model, and what it is to do, are in the path.
//!
//! Source: Google's API reference, "Generating content" and "Embeddings".

use url::Url;

/// Where `model` is asked for an answer, under an address such as `https://generativelanguage.googleapis.com/v1beta`.
pub(super) fn chat_url(base_url: &Url, model: &str, stream: bool) -> Url {
    if !stream {
        return method_url(base_url, model, "generateContent");
    }
    let mut url = method_url(base_url, model, "streamGenerateContent");
    url.query_pairs_mut().append_pair("alt", "sse");
    url
}

/// Where `model` is asked for vectors.
pub(super) fn embeddings_url(base_url: &Url, model: &str) -> Url {
    method_url(base_url, model, "batchEmbedContents")
}

fn method_url(base_url: &Url, model: &str, method: &str) -> Url {
    let mut url = base_url.clone();
    let model = model.strip_prefix("models/").unwrap_or(model);
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("models").push(&format!("{model}:{method}"));
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_method_are_in_the_path() {
        let base: Url = "https://h/v1beta".parse().expect("a URL");
        assert_eq!(chat_url(&base, "gemini-x", false).as_str(), "https://h/v1beta/models/gemini-x:generateContent");
        assert_eq!(
            chat_url(&base, "models/g", true).as_str(),
            "https://h/v1beta/models/g:streamGenerateContent?alt=sse"
        );
        assert_eq!(embeddings_url(&base, "models/g").as_str(), "https://h/v1beta/models/g:batchEmbedContents");
        assert_eq!(chat_url(&base, "../a?b", false).as_str(), "https://h/v1beta/models/..%2Fa%3Fb:generateContent");
    }
}
