//! The part of OpenAI's wire that VX11 itself reads and writes.
//!
//! The switch forwards bodies as bytes and reads only what routing needs; these types are for what VX11 composes itself
//! (its provider calls for `/switch/chat`, its model list, its errors) and for what clients of `/v1` are told in
//! OpenAPI. Source: OpenAI's API reference, "Chat" and "Models".

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ErrorCode;

/// The body of an error on `/v1` routes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiError {
    /// The error.
    pub error: OpenAiErrorInfo,
}

/// The inside of [`OpenAiError`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OpenAiErrorInfo {
    /// A sentence for a person.
    pub message: String,
    /// The class, such as `invalid_request_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The offending field.
    pub param: Option<String>,
    /// What a program matches on.
    pub code: Option<String>,
}

impl OpenAiError {
    /// The status and the body that OpenAI's clients expect in place of `code`.
    ///
    /// Their libraries map the status to an exception class and read `code`; a missing and a wrong key are both
    /// 401 `invalid_api_key`, and a field error is 400.
    pub fn from_code(code: ErrorCode, message: String, field: Option<String>) -> (u16, Self) {
        use ErrorCode as E;
        let (status, kind, code) = match code {
            E::MissingToken | E::InvalidToken => (401, "authentication_error", "invalid_api_key"),
            E::TokenExpired => (401, "authentication_error", "token_expired"),
            E::Forbidden => (403, "permission_error", "forbidden"),
            E::InvalidField | E::MalformedRequest => (400, "invalid_request_error", "invalid_request"),
            E::InsufficientQuota => (429, "insufficient_quota", "insufficient_quota"),
            E::ModelNotAllowed => (403, "permission_error", "model_not_allowed"),
            E::HeldRejected => (403, "permission_error", "held_rejected"),
            E::HeldExpired => (403, "permission_error", "held_expired"),
            E::RateLimited => (429, "rate_limit_error", "rate_limit_exceeded"),
            other if other.status() >= 500 => (other.status(), "server_error", other.as_str()),
            other => (other.status(), "invalid_request_error", other.as_str()),
        };
        let error = OpenAiErrorInfo { message, kind: kind.to_owned(), param: field, code: Some(code.to_owned()) };
        (status, Self { error })
    }
}

/// `GET /v1/models`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The models.
    pub data: Vec<Model>,
}

/// One model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// What a request names.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// Unix seconds.
    pub created: i64,
    /// Who serves it.
    pub owned_by: String,
}
