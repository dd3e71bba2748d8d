//! OpenAI's wire, which is also what callers of `/v1` speak: bodies go through as they are.
//!
//! Source: OpenAI's API reference, "Chat", "Completions" and "Embeddings".

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder};
use url::Url;

use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;

/// Where `operation` is asked for, under an address such as `https://api.deepseek.com/v1`.
pub(super) fn url(base_url: &Url, operation: Operation) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/{}", base_url.path().trim_end_matches('/'), operation.path()));
    url
}

/// Asks `model` for what `request` wants; a stream is asked for its usage where `asks_usage` says so.
pub(super) fn ask(
    http: &Client,
    url: &Url,
    key: Option<&HeaderValue>,
    request: &ChatRequest,
    model: &str,
    asks_usage: bool,
) -> RequestBuilder {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
    let builder = http
        .post(url.clone())
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, if request.stream { EVENTS } else { JSON })
        .body(if asks_usage { request.body_asking_usage(model) } else { request.body_for(model) });
    match key {
        Some(key) => builder.header(AUTHORIZATION, key.clone()),
        None => builder,
    }
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
