//! Where Gemini's wire is spoken: model, and whether it streams, are in the path.
//!
//! Source: Google's API reference, "Generating content".

use url::Url;

/// Where `model` is asked, under an address such as `https://generativelanguage.googleapis.com/v1beta`.
pub(super) fn chat_url(base_url: &Url, model: &str, stream: bool) -> Url {
    let mut url = base_url.clone();
    let model = model.strip_prefix("models/").unwrap_or(model);
    let method = if stream { "streamGenerateContent" } else { "generateContent" };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().push("models").push(&format!("{model}:{method}"));
    }
    if stream {
        url.query_pairs_mut().append_pair("alt", "sse");
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn model_and_streaming_are_in_the_path() {
        let base: Url = "https://h/v1beta".parse().expect("a URL");
        assert_eq!(chat_url(&base, "gemini-x", false).as_str(), "https://h/v1beta/models/gemini-x:generateContent");
        assert_eq!(
            chat_url(&base, "models/g", true).as_str(),
            "https://h/v1beta/models/g:streamGenerateContent?alt=sse"
        );
        assert_eq!(chat_url(&base, "../a?b", false).as_str(), "https://h/v1beta/models/..%2Fa%3Fb:generateContent");
    }
}
