//! OpenAI's wire, which is also what callers of `/v1` speak: bodies go through as they are.
//!
//! Source: OpenAI's API reference, "Chat".

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, RequestBuilder};
use url::Url;

use crate::domain::request::ChatRequest;

/// Where chat completions are asked for, under an address such as `https://api.deepseek.com/v1`.
pub(super) fn chat_url(base_url: &Url) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/chat/completions", base_url.path().trim_end_matches('/')));
    url
}

/// Asks for a chat completion of `model`.
pub(super) fn chat(
    http: &Client,
    url: &Url,
    key: Option<&HeaderValue>,
    request: &ChatRequest,
    model: &str,
) -> RequestBuilder {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
    let builder = http
        .post(url.clone())
        .header(CONTENT_TYPE, JSON)
        .header(ACCEPT, if request.stream { EVENTS } else { JSON })
        .body(request.body_for(model));
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
            assert_eq!(chat_url(&base.parse().expect("a URL")).as_str(), expected);
        }
    }
}
