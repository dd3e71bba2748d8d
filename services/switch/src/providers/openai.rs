//! Where OpenAI's wire is spoken.
//!
//! Source: OpenAI's API reference, "Chat", "Completions" and "Embeddings".

use url::Url;

use crate::domain::operation::Operation;

/// Where `operation` is asked for, under an address such as `https://api.deepseek.com/v1`.
pub(super) fn url(base_url: &Url, operation: Operation) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/{}", base_url.path().trim_end_matches('/'), operation.path()));
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_added_and_a_query_is_kept() {
        for (base, expected) in [
            ("http://h/v1", "http://h/v1/chat/completions"),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("http://h", "http://h/chat/completions"),
            ("http://h/v1?version=2", "http://h/v1/chat/completions?version=2"),
        ] {
            assert_eq!(url(&base.parse().expect("a URL"), Operation::Chat).as_str(), expected);
        }
    }
}
