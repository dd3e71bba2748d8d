//! Errors in both directions.

use serde_json::Value;
use vx11_contracts::anthropic::{AnthropicError, error_type};

use crate::wire::failure::ProviderError;
use crate::wire::json::{get, text};

/// Anthropic's status for "we have too much to do", which no RFC has.
const OVERLOADED: u16 = 529;

/// What is said of an account that has nothing left to spend. The status calls it a bad request, and its type too.
/// So it begins: what quotes the caller begins with something else, and nobody's words may cost the provider a key.
const OUT_OF_CREDIT: &str = "Your credit balance is too low";
/// How Anthropic's sentence of a prompt that does not fit begins.
const TOO_LONG: &str = "prompt is too long";

/// A provider's error in OpenAI's shape.
pub(crate) fn to_openai(status: u16, body: &[u8]) -> ProviderError {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    match body.as_ref().and_then(|body| text(get(body, "error")?, "message")) {
        Some(message) => ProviderError::new(meant(status, message), message),
        None => ProviderError::unreadable(meant(status, "")),
    }
}

/// The status that others have for what a status and its sentence say.
fn meant(status: u16, message: &str) -> u16 {
    match status {
        OVERLOADED => 503,
        // Our account is at fault, not the caller's request: another key may belong to another one.
        400 if message.starts_with(OUT_OF_CREDIT) => 402,
        _ => status,
    }
}

/// An error body of OpenAI's shape, as a caller of `/v1/messages` reads it. `None`: it is none.
pub(crate) fn to_anthropic(status: u16, body: &[u8]) -> Option<AnthropicError> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let error = get(&body, "error")?;
    let message = text(error, "message")?;
    // Clients of Anthropic's know a prompt that is too long by these words; its errors have no code.
    let is_too_long = text(error, "code") == Some("context_length_exceeded") && !message.contains(TOO_LONG);
    let message = if is_too_long { format!("{TOO_LONG}: {message}") } else { message.to_owned() };
    Some(AnthropicError::new(error_type(status), message))
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
        let long = br#"{"error":{"message":"This model's maximum context length is 8 tokens.","code":"context_length_exceeded"}}"#;
        let long = to_anthropic(400, long).expect("an error").error.message;
        assert_eq!(long, "prompt is too long: This model's maximum context length is 8 tokens.");
        assert_eq!(to_openai(529, body).status, 503);
        assert_eq!(to_openai(502, b"<html>"), ProviderError::unreadable(502));
    }

    #[test]
    fn an_account_without_credit_is_no_fault_of_the_callers() {
        let of = |message: &str| {
            let error = serde_json::json!({"type": "invalid_request_error", "message": message});
            to_openai(400, serde_json::json!({"type": "error", "error": error}).to_string().as_bytes()).status
        };
        let broke = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade \
                     or purchase credits.";
        assert_eq!((of(broke), of("max_tokens: must be positive")), (402, 400));
        let quoted = "thinking: Input tag 'Your credit balance is too low' found using 'type' does not match";
        assert_eq!(of(quoted), 400, "a caller may write what it likes");
    }
}
