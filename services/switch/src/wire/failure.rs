//! Providers' error answers, on their way into OpenAI's shape.

mod in_stream;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::domain::rejection;

pub(crate) use in_stream::in_stream;

/// An error answer in the pivot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProviderError {
    /// Its status, as OpenAI would have chosen it.
    pub(crate) status: u16,
    /// Its body; `None` where what came was no error of the provider's wire.
    pub(crate) body: Option<Bytes>,
    /// Whole seconds to wait, where the body says so.
    pub(crate) retry_after: Option<u64>,
}

impl ProviderError {
    /// An error with a sentence of the provider's, which is looked at for what OpenAI has a code for.
    pub(super) fn new(status: u16, message: &str) -> Self {
        // Who has no code for it says it in these words.
        let is_too_long = matches!(status, 400 | 413) && rejection::is_about_length(message);
        let code = is_too_long.then_some("context_length_exceeded");
        let param = code.map(|_| "messages");
        let error = json!({"message": message, "type": kind(status), "param": param, "code": code});
        Self { status, body: Some(json!({"error": error}).to_string().into()), retry_after: None }
    }

    /// What came is no error in the provider's wire.
    pub(super) fn unreadable(status: u16) -> Self {
        Self { status, body: None, retry_after: None }
    }
}

/// An error that is in the pivot already.
pub(super) fn as_it_is(status: u16, body: &[u8]) -> ProviderError {
    #[derive(Deserialize)]
    struct Error {
        #[expect(dead_code, reason = "only its presence matters")]
        error: IgnoredAny,
    }
    let is_error = body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<Error>(body).is_ok();
    ProviderError { body: is_error.then(|| Bytes::copy_from_slice(body)), ..ProviderError::unreadable(status) }
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_prompt_that_does_not_fit_gets_openais_code() {
        let error = ProviderError::new(400, "prompt is too long: 210000 tokens > 200000 maximum");
        let body: Value = serde_json::from_slice(&error.body.expect("a body")).expect("JSON");
        assert_eq!(body["error"]["code"], "context_length_exceeded");
        let other = ProviderError::new(400, "max_tokens: must be positive");
        let body: Value = serde_json::from_slice(&other.body.expect("a body")).expect("JSON");
        assert_eq!((&body["error"]["code"], &body["error"]["type"]), (&json!(null), &json!("invalid_request_error")));
    }

    #[test]
    fn what_is_no_error_is_not_passed_on() {
        for body in ["<html>", "", "[]", "{\"detail\": 1}"] {
            assert_eq!(as_it_is(500, body.as_bytes()), ProviderError::unreadable(500), "{body}");
        }
        assert_eq!(as_it_is(400, b"{\"error\": 1}").body.as_deref(), Some(&b"{\"error\": 1}"[..]));
    }
}
