//! The part of Anthropic's wire that VX11 itself writes: errors on `/v1/messages`.
//!
//! Source: Anthropic's API reference, "Errors".

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ErrorCode;

/// The body of an error on `/v1/messages`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnthropicError {
    /// Always `error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The error.
    pub error: AnthropicErrorInfo,
}

/// The inside of [`AnthropicError`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AnthropicErrorInfo {
    /// The class, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A sentence for a person.
    pub message: String,
}

/// `POST /v1/messages/count_tokens`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenCount {
    /// Tokens of the prompt: system, messages and tools.
    pub input_tokens: u64,
}

impl AnthropicError {
    /// The status and the body that Anthropic's clients expect in place of `code`. The statuses are those of `/v1`.
    pub fn from_code(code: ErrorCode, message: String) -> (u16, Self) {
        let status = match code {
            ErrorCode::MissingToken | ErrorCode::InvalidToken => 401,
            ErrorCode::InvalidField => 400,
            other => other.status(),
        };
        (status, Self::new(error_type(status), message))
    }

    /// An error of this class.
    pub fn new(kind: &str, message: String) -> Self {
        Self { kind: "error".to_owned(), error: AnthropicErrorInfo { kind: kind.to_owned(), message } }
    }
}

/// The class of error that Anthropic's wire has for a status.
pub const fn error_type(status: u16) -> &'static str {
    match status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_the_class_that_clients_know() {
        let class = |code| {
            let (status, body) = AnthropicError::from_code(code, String::new());
            (status, body.error.kind)
        };
        for (code, status, kind) in [
            (ErrorCode::InvalidToken, 401, "authentication_error"),
            (ErrorCode::MissingToken, 401, "authentication_error"),
            (ErrorCode::InvalidField, 400, "invalid_request_error"),
            (ErrorCode::MalformedRequest, 400, "invalid_request_error"),
            (ErrorCode::ModelNotFound, 404, "not_found_error"),
            (ErrorCode::RateLimited, 429, "rate_limit_error"),
            (ErrorCode::Overloaded, 503, "overloaded_error"),
            (ErrorCode::UpstreamError, 502, "api_error"),
            (ErrorCode::DeadlineExceeded, 504, "api_error"),
        ] {
            assert_eq!(class(code), (status, kind.to_owned()));
        }
    }
}
