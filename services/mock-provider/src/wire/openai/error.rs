//! Errors in OpenAI's shape.

use serde_json::{Value, json};
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;

use super::super::Refusal;

/// Status and body.
pub(crate) fn error(refusal: &Refusal) -> (u16, Value) {
    match refusal {
        Refusal::Request(error) => of(error),
        Refusal::NoKey => of(&ApiError::new(ErrorCode::MissingToken, "You didn't provide an API key.")),
        Refusal::WrongKey => of(&ApiError::new(ErrorCode::InvalidToken, "Incorrect API key provided.")),
        Refusal::NoVersion(_) => of(&ApiError::invalid_field("anthropic-version", "no such version")),
        Refusal::Fault { status, .. } => {
            let kind = match status {
                401 | 403 => "authentication_error",
                429 => "rate_limit_error",
                500.. => "server_error",
                _ => "invalid_request_error",
            };
            (*status, body(&format!("mock fault: status {status}"), kind, None, "mock_fault"))
        }
        Refusal::TooLong(tokens) => {
            let message = format!(
                "This model's maximum context length is {} tokens. However, your messages resulted in {tokens} tokens.",
                tokens.saturating_sub(1)
            );
            at_fault(&message, "context_length_exceeded")
        }
        // As Groq has it.
        Refusal::TooMuch(tokens) => {
            let message = format!(
                "Request too large for model `mock` on tokens per minute (TPM): Limit {}, Requested {tokens}, please reduce \
                 your message size and try again.",
                tokens.saturating_sub(1)
            );
            (413, body(&message, "tokens", None, "rate_limit_exceeded"))
        }
        Refusal::Filtered => at_fault("The request was rejected by the content filter.", "content_filter"),
        Refusal::Policy => at_fault("The request violates the content policy.", "content_policy_violation"),
        Refusal::Prefill => at_fault("The last message must not be the assistant's.", "invalid_request"),
    }
}

fn of(error: &ApiError) -> (u16, Value) {
    let (status, body) = error.openai_body();
    (status, json!(body))
}

/// 400: the messages are not acceptable.
fn at_fault(message: &str, code: &str) -> (u16, Value) {
    (400, body(message, "invalid_request_error", Some("messages"), code))
}

fn body(message: &str, kind: &str, param: Option<&str>, code: &str) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}
