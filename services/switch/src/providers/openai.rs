//! Where OpenAI's wire is spoken.
//!
//! Source: OpenAI's API reference, "Chat", "Completions", "Embeddings" and "Responses".

use http::uri::PathAndQuery;
use url::Url;

use super::endpoint::target;
use crate::domain::operation::Operation;

/// Where each operation is asked for at one provider; written once, because it is needed for every request.
#[derive(Debug)]
pub(super) struct Targets {
    chat: PathAndQuery,
    text_completions: PathAndQuery,
    embeddings: PathAndQuery,
    /// Where responses are.
    pub(super) responses: PathAndQuery,
}

impl Targets {
    /// Under an address such as `https://api.deepseek.com/v1`.
    pub(super) fn new(base_url: &Url) -> anyhow::Result<Self> {
        let target = |path| target(&url(base_url, path));
        Ok(Self {
            chat: target(Operation::Chat.path())?,
            text_completions: target(Operation::TextCompletion.path())?,
            embeddings: target(Operation::Embeddings.path())?,
            responses: target("responses")?,
        })
    }

    /// The one of `operation`.
    pub(super) fn of(&self, operation: Operation) -> &PathAndQuery {
        match operation {
            Operation::Chat => &self.chat,
            Operation::TextCompletion => &self.text_completions,
            Operation::Embeddings => &self.embeddings,
        }
    }
}

fn url(base_url: &Url, path: &str) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/{path}", base_url.path().trim_end_matches('/')));
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
            assert_eq!(url(&base.parse().expect("a URL"), Operation::Chat.path()).as_str(), expected);
        }
    }
}
