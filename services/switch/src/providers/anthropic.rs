//! Where Anthropic's wire is spoken, and with which headers.
//!
//! Source: Anthropic's API reference, "Versioning" and "Messages".

use http::header::{HeaderName, HeaderValue};
use url::Url;
use vx11_http_client::Request;

use crate::domain::request::ChatRequest;
use crate::wire::Wire;

/// Names the version of the wire.
pub(crate) const VERSION: &str = "anthropic-version";
/// Names what the caller wants beyond that version.
pub(crate) const BETA: &str = "anthropic-beta";
/// The version that the translation writes and reads.
const OURS: HeaderValue = HeaderValue::from_static("2023-06-01");

/// Where messages are asked for, under an address such as `https://api.anthropic.com/v1`.
pub(super) fn messages_url(base_url: &Url) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/messages", base_url.path().trim_end_matches('/')));
    url
}

/// Where the tokens of a prompt are counted.
pub(super) fn count_url(base_url: &Url) -> Url {
    let mut url = base_url.clone();
    url.set_path(&format!("{}/messages/count_tokens", base_url.path().trim_end_matches('/')));
    url
}

/// Adds the headers of the wire: the caller's, where it speaks this wire itself.
pub(super) fn with_headers(outgoing: Request, request: &ChatRequest) -> Request {
    let theirs: &[_] = if request.wire == Wire::Anthropic { &request.headers } else { &[] };
    let outgoing = outgoing.header(HeaderName::from_static(VERSION), OURS);
    theirs.iter().fold(outgoing, |outgoing, (name, value)| match HeaderValue::from_str(value) {
        Ok(value) => outgoing.header(HeaderName::from_static(name), value),
        Err(_) => outgoing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_added_to_the_address() {
        let base: Url = "https://h/v1/".parse().expect("a URL");
        assert_eq!(messages_url(&base).as_str(), "https://h/v1/messages");
        assert_eq!(count_url(&base).as_str(), "https://h/v1/messages/count_tokens");
    }
}
