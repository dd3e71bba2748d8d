//! Errors in Gemini's shape, which is that of all of Google's APIs.

use serde_json::{Value, json};

use super::super::refusal::{Refusal, in_words};

/// Status and body.
pub(crate) fn error(refusal: &Refusal) -> (u16, Value) {
    let (status, message) = match refusal {
        Refusal::Request(error) => in_words(error),
        Refusal::NoKey => {
            (403, "Method doesn't allow unregistered callers (callers without established identity).".to_owned())
        }
        Refusal::WrongKey => (400, "API key not valid. Please pass a valid API key.".to_owned()),
        Refusal::NoVersion(_) => (400, "no such version".to_owned()),
        Refusal::Fault { status, .. } => (*status, format!("mock fault: status {status}")),
        Refusal::TooLong(tokens) => {
            let most = tokens.saturating_sub(1);
            let message =
                format!("The input token count ({tokens}) exceeds the maximum number of tokens allowed ({most}).");
            (400, message)
        }
        Refusal::TooMuch(tokens) => {
            let limit = tokens.saturating_sub(1);
            (429, format!("You exceeded your current quota: input tokens per minute, limit: {limit}."))
        }
        Refusal::Filtered | Refusal::Policy => (400, "The request was blocked for safety.".to_owned()),
        Refusal::Prefill => {
            (400, "Please ensure that multiturn requests end with a user role or a function response.".to_owned())
        }
    };
    let mut error = json!({ "code": status, "message": message, "status": name(status) });
    if let Some(details) = details(refusal) {
        error["details"] = json!([details]);
    }
    (status, json!({ "error": error }))
}

/// What a program reads in place of the message.
fn details(refusal: &Refusal) -> Option<Value> {
    match refusal {
        Refusal::WrongKey => Some(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        })),
        Refusal::Fault { retry_after: Some(seconds), .. } => Some(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{seconds}s"),
        })),
        _ => None,
    }
}

/// The name of a status.
fn name(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        409 => "ABORTED",
        429 => "RESOURCE_EXHAUSTED",
        499 => "CANCELLED",
        501 => "UNIMPLEMENTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        400.. => "INVALID_ARGUMENT",
        _ => "UNKNOWN",
    }
}
