//! Errors in Anthropic's shape.

use serde_json::{Value, json};

use super::super::refusal::{Refusal, in_words};

/// Status and body.
pub(crate) fn error(refusal: &Refusal) -> (u16, Value) {
    let (status, message) = match refusal {
        Refusal::Request(error) => in_words(error),
        Refusal::NoKey => (401, "x-api-key header is required".to_owned()),
        Refusal::WrongKey => (401, "invalid x-api-key".to_owned()),
        Refusal::NoVersion(None) => (400, "anthropic-version: header is required".to_owned()),
        Refusal::NoVersion(Some(version)) => (400, format!("anthropic-version: \"{version}\" is not a valid version")),
        Refusal::Fault { status, .. } => (*status, format!("mock fault: status {status}")),
        Refusal::TooLong(tokens) => {
            (400, format!("prompt is too long: {tokens} tokens > {} maximum", tokens.saturating_sub(1)))
        }
        Refusal::TooMuch(tokens) => {
            let limit = tokens.saturating_sub(1);
            (429, format!("This request would exceed your rate limit of {limit} input tokens per minute"))
        }
        Refusal::Filtered | Refusal::Policy => (400, "Output blocked by content filtering policy".to_owned()),
        Refusal::Prefill => (
            400,
            "This model does not support assistant message prefill. The conversation must end with a user message."
                .to_owned(),
        ),
    };
    (status, json!({ "type": "error", "error": { "type": kind(status), "message": message } }))
}

fn kind(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}
