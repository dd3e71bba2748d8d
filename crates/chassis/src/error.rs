//! One error type for every handler, and its renderings: VX11's envelope, OpenAI's and Anthropic's.
//!
//! A handler returns [`ApiError`]; the request middleware renders it, because only there the correlation id and the
//! route's wire are known. An internal cause is logged there once and never sent.

use std::fmt;

use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, ResponseError};
use vx11_contracts::anthropic::AnthropicError;
use vx11_contracts::error::{ErrorBody, ErrorCode, ErrorInfo, PolicyRefusal};
use vx11_contracts::intervention::StandsAt;
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::unit::UnitStandsAt;

use crate::header_names::RETRY_AFTER_MS;

/// `WWW-Authenticate` of an answer to who presented a token that is nobody's (RFC 6750, section 3).
pub const INVALID_TOKEN: &str = r#"Bearer error="invalid_token""#;

/// Why a request is not answered as asked.
#[derive(Debug)]
pub struct ApiError(Box<Parts>);

#[derive(Debug)]
struct Parts {
    code: ErrorCode,
    detail: String,
    field: Option<String>,
    known: Option<Vec<String>>,
    limit_of: Option<String>,
    retry_after: Option<u64>,
    policy: Option<PolicyRefusal>,
    intervention: Option<Box<StandsAt>>,
    unit: Option<Box<UnitStandsAt>>,
    allow: Option<String>,
    cause: Option<String>,
}

impl ApiError {
    /// An error with a sentence for the caller.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            code,
            detail,
            field: None,
            known: None,
            limit_of: None,
            retry_after: None,
            policy: None,
            intervention: None,
            unit: None,
            allow: None,
            cause: None,
        }))
    }

    /// 404: there is no such `thing`.
    pub fn not_found(thing: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("no such {thing}"))
    }

    /// 405: the address takes only the methods in `allowed`.
    pub fn method_not_allowed(allowed: &[Method]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(Method::as_str).collect();
        let allowed = allowed.join(", ");
        let mut error = Self::new(ErrorCode::MethodNotAllowed, format!("this address takes only {allowed}"));
        error.0.allow = Some(allowed);
        error
    }

    /// 422: `field` is not acceptable; `detail` says what would be.
    pub fn invalid_field(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let mut error = Self::new(ErrorCode::InvalidField, detail);
        error.0.field = Some(field.into());
        error
    }

    /// 429: come back after whole `seconds`.
    pub fn rate_limited(seconds: u64, detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::RateLimited, detail).with_retry_after(seconds)
    }

    /// 500: a fault of our own. `cause` goes to the log, never to the caller.
    pub fn internal(cause: impl fmt::Display) -> Self {
        let mut error =
            Self::new(ErrorCode::Internal, "internal error; the log has the cause under the correlation id");
        error.0.cause = Some(cause.to_string());
        error
    }

    /// 403: the policy keeps `refusal.service` off.
    pub fn off_by_policy(refusal: PolicyRefusal) -> Self {
        let mut error = Self::new(ErrorCode::OffByPolicy, refusal.message.clone());
        error.0.policy = Some(refusal);
        error
    }

    /// 409: an intervention was decided before, or stands elsewhere than the caller saw.
    pub fn stands_at(detail: impl Into<String>, stands_at: StandsAt) -> Self {
        let mut error = Self::new(ErrorCode::Conflict, detail);
        error.0.intervention = Some(Box::new(stands_at));
        error
    }

    /// 409: a unit of work stands elsewhere than this needs, or a guardian's rule has stopped it.
    pub fn unit_stands_at(detail: impl Into<String>, stands_at: UnitStandsAt) -> Self {
        let mut error = Self::new(ErrorCode::Conflict, detail);
        error.0.unit = Some(Box::new(stands_at));
        error
    }

    /// Adds the names that would have been accepted.
    #[must_use]
    pub fn with_known(mut self, known: Vec<String>) -> Self {
        self.0.known = Some(known);
        self
    }

    /// Adds whose limit it is, such as `org:acme`.
    #[must_use]
    pub fn with_limit_of(mut self, scope: impl ToString) -> Self {
        self.0.limit_of = Some(scope.to_string());
        self
    }

    /// Adds when to come back, in whole seconds.
    #[must_use]
    pub fn with_retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Adds a cause for the log.
    #[must_use]
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// What clients match on.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The sentence for the caller.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// The field that is at fault.
    pub(crate) fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// What the log should say beyond the code.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The envelope of every route but the OpenAI ones.
    pub fn body(&self, correlation_id: &str) -> ErrorBody {
        ErrorBody {
            ok: false,
            detail: self.0.detail.clone(),
            error: ErrorInfo {
                code: self.0.code,
                field: self.0.field.clone(),
                known: self.0.known.clone(),
                limit_of: self.0.limit_of.clone(),
                policy: self.0.policy.clone(),
                intervention: self.0.intervention.clone(),
                unit: self.0.unit.clone(),
            },
            retry_after: self.0.retry_after,
            correlation_id: correlation_id.to_owned(),
            timestamp: vx11_contracts::time::now(),
        }
    }

    /// The status and body on OpenAI routes.
    pub fn openai_body(&self) -> (u16, OpenAiError) {
        OpenAiError::from_code(self.0.code, self.message(), self.0.field.clone())
    }

    /// The status and body on Anthropic's routes. There is no place for the field but the sentence.
    pub fn anthropic_body(&self) -> (u16, AnthropicError) {
        let message = match &self.0.field {
            Some(field) if !self.0.detail.contains(field.as_str()) => format!("{field}: {}", self.message()),
            _ => self.message(),
        };
        AnthropicError::from_code(self.0.code, message)
    }

    /// The sentence for wires that have no place for the names that would have been accepted.
    fn message(&self) -> String {
        match &self.0.known {
            Some(known) => format!("{}; known: {}", self.0.detail, known.join(", ")),
            None => self.0.detail.clone(),
        }
    }

    /// The whole answer in the shape that `wire` wants.
    pub(crate) fn render(&self, wire: Wire, correlation_id: &str) -> HttpResponse {
        let (status, body) = match wire {
            Wire::Vx11 => (self.0.code.status(), serde_json::to_vec(&self.body(correlation_id))),
            Wire::OpenAi => {
                let (status, body) = self.openai_body();
                (status, serde_json::to_vec(&body))
            }
            Wire::Anthropic => {
                let (status, body) = self.anthropic_body();
                (status, serde_json::to_vec(&body))
            }
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        if let Some(seconds) = self.0.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
            response.insert_header((RETRY_AFTER_MS, seconds.saturating_mul(1000)));
        }
        if self.0.code == ErrorCode::InvalidToken {
            // For the edge too, which has passed the token on: it was a guess.
            response.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static(INVALID_TOKEN)));
        }
        if let Some(allowed) = &self.0.allow {
            response.insert_header((ALLOW, allowed.as_str()));
        }
        response.body(body.unwrap_or_default())
    }

    /// What actix-web itself found wrong, by the status it chose.
    pub(crate) fn from_status(status: StatusCode, detail: &str) -> Self {
        let code = match status.as_u16() {
            401 => ErrorCode::MissingToken,
            403 => ErrorCode::InvalidToken,
            404 => ErrorCode::NotFound,
            405 => ErrorCode::MethodNotAllowed,
            408 | 504 => ErrorCode::DeadlineExceeded,
            413 => ErrorCode::PayloadTooLarge,
            429 => ErrorCode::RateLimited,
            431 => ErrorCode::HeadersTooLarge,
            502 => ErrorCode::UpstreamError,
            503 => ErrorCode::ServiceUnavailable,
            400..500 => ErrorCode::MalformedRequest,
            _ => return Self::internal(detail),
        };
        let detail = if detail.is_empty() { code.meaning() } else { detail };
        Self::new(code, detail)
    }
}

/// What another service answered, to be passed on under the request's own correlation id.
impl From<ErrorBody> for ApiError {
    fn from(body: ErrorBody) -> Self {
        let ErrorInfo { code, field, known, limit_of, policy, intervention, unit } = body.error;
        let parts = *Self::new(code, body.detail).0;
        Self(Box::new(Parts {
            field,
            known,
            limit_of,
            policy,
            intervention,
            unit,
            retry_after: body.retry_after,
            ..parts
        }))
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.0.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// In which shape a route's errors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// The envelope of VX11's own routes.
    Vx11,
    /// OpenAI's, on `/v1`.
    OpenAi,
    /// Anthropic's, on `/v1/messages`.
    Anthropic,
}

impl Wire {
    /// The shape for `path`.
    pub fn of(path: &str) -> Self {
        match path.strip_prefix("/v1/") {
            Some("messages") => Self::Anthropic,
            Some(rest) if rest.starts_with("messages/") => Self::Anthropic,
            Some(_) => Self::OpenAi,
            None => Self::Vx11,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_of_errors_follows_the_path() {
        for (path, wire) in [
            ("/v1/messages", Wire::Anthropic),
            ("/v1/messages/count_tokens", Wire::Anthropic),
            ("/v1/messagesx", Wire::OpenAi),
            ("/v1/chat/completions", Wire::OpenAi),
            ("/switch/chat", Wire::Vx11),
            ("/v1", Wire::Vx11),
        ] {
            assert_eq!(Wire::of(path), wire, "{path}");
        }
    }

    #[test]
    fn anthropics_sentence_names_the_field() {
        let (status, body) = ApiError::invalid_field("max_tokens", "is required").anthropic_body();
        assert_eq!((status, body.error.message.as_str()), (400, "max_tokens: is required"));
        let (_, body) = ApiError::invalid_field("model", "model: must be a string").anthropic_body();
        assert_eq!(body.error.message, "model: must be a string");
    }

    #[test]
    fn what_another_service_answered_is_passed_on_whole() {
        let refusal = PolicyRefusal {
            service: "switch".to_owned(),
            message: "it is off".to_owned(),
            recommended_action: "open a window".to_owned(),
        };
        let errors = [
            ApiError::invalid_field("ttl_sec", "too long").with_known(vec!["60".to_owned()]),
            ApiError::rate_limited(7, "too many"),
            ApiError::off_by_policy(refusal),
        ];
        for error in errors {
            let answered = error.body("c");
            let passed_on = ApiError::from(answered.clone()).body("c");
            assert_eq!(passed_on, ErrorBody { timestamp: passed_on.timestamp.clone(), ..answered });
        }
    }
}
