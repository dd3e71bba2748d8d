//! Errors in both directions.

use serde_json::Value;
use vx11_contracts::anthropic::{AnthropicError, error_type};

use crate::wire::failure::ProviderError;
use crate::wire::json::{get, text};

/// Anthropic's status for "we have too much to do", which no RFC has.
const OVERLOADED: u16 = 529;

/// A provider's error in OpenAI's shape.
pub(crate) fn to_openai(status: u16, body: &[u8]) -> ProviderError {
    let status = if status == OVERLOADED { 503 } else { status };
    let body: Option<Value> = serde_json::from_slice(body).ok();
    match body.as_ref().and_then(|body| text(get(body, "error")?, "message")) {
        Some(message) => ProviderError::new(status, message),
        None => ProviderError::unreadable(status),
    }
}

/// An error body of OpenAI's shape, as a caller of `/v1/messages` reads it. `None`: it is none.
pub(crate) fn to_anthropic(status: u16, body: &[u8]) -> Option<AnthropicError> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let message = text(get(&body, "error")?, "message")?;
    Some(AnthropicError::new(error_type(status), message.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_sentence_and_its_class() {
        let body = br#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}"#;
        let error = to_openai(429, body);
        assert_eq!(error.status, 429);
        let openai = error.body.expect("a body");
        assert_eq!(to_anthropic(429, &openai), serde_json::from_slice(body).ok());
        assert_eq!(to_openai(529, body).status, 503);
        assert_eq!(to_openai(502, b"<html>"), ProviderError::unreadable(502));
    }
}
