//! The error envelope and the catalogue of codes, each with its HTTP status and its meaning.

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::intervention::StandsAt;
use crate::unit::UnitStandsAt;

/// Declares [`ErrorCode`] from one table, so that code, status and meaning cannot drift apart.
macro_rules! error_codes {
    ($($variant:ident, $code:literal, $status:literal, $meaning:literal;)+) => {
        /// A stable code that clients match on and that metrics use as a label.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant,)+
        }

        impl ErrorCode {
            /// Every code, in catalogue order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The HTTP status that the code is sent with.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The code as it stands on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// One sentence for the catalogue.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)+ }
            }
        }
    };
}

error_codes! {
    MalformedRequest, "malformed_request", 400, "The request cannot be read: broken JSON, invalid UTF-8, a bad header or query string.";
    MissingToken, "missing_token", 401, "No token was sent in `x-vx11-token` or `Authorization: Bearer`.";
    TokenExpired, "token_expired", 401, "The access token was good once; a refresh token brings a new one.";
    LoginFailed, "login_failed", 401, "The login was refused, or has ended; log in anew.";
    InvalidToken, "invalid_token", 403, "A token was sent, and it is not the right one.";
    Forbidden, "forbidden", 403, "It is known who calls, and neither its role nor its key's scopes allow this.";
    CrossSite, "cross_site", 403, "The request relies on a cookie, and does not come from a page of this origin.";
    OffByPolicy, "off_by_policy", 403, "The current policy keeps this off; the body names the service and what to do.";
    ModelNotAllowed, "model_not_allowed", 403, "The API key may not use this model; the body lists those that it may.";
    HeldRejected, "held_rejected", 403, "A rule of the gateway held the request for a person, who did not approve it; the sentence says why.";
    HeldExpired, "held_expired", 403, "A rule of the gateway held the request for a person, and nobody decided in time.";
    InvalidConfirmation, "invalid_confirmation", 403, "The confirmation token, power token or phrase is wrong or has expired.";
    NotFound, "not_found", 404, "There is nothing at this address, or no such record.";
    UnknownProvider, "unknown_provider", 404, "No provider of this name is configured; the body lists the known ones.";
    ModelNotFound, "model_not_found", 404, "No configured provider serves this model.";
    MethodNotAllowed, "method_not_allowed", 405, "The address exists, with other methods.";
    Conflict, "conflict", 409, "The record is in a state that does not allow this, or the same is under way already.";
    PayloadTooLarge, "payload_too_large", 413, "The body is larger than this address accepts.";
    MessageTooLong, "message_too_long", 413, "The chat message has more characters than the configured limit.";
    InvalidField, "invalid_field", 422, "A field is missing, unknown, of the wrong type or out of range; the body names it.";
    HeadersTooLarge, "headers_too_large", 431, "The headers are larger than the server accepts.";
    RateLimited, "rate_limited", 429, "Too many requests; `Retry-After` says when to come back.";
    InsufficientQuota, "insufficient_quota", 429, "The budget of the API key, its team or its organisation is spent; `Retry-After` says when the next period begins.";
    Internal, "internal", 500, "A fault of VX11's own; the log has the cause under the correlation id.";
    UpstreamError, "upstream_error", 502, "Every provider that could serve the request failed, or a provider or a service broke off.";
    UpstreamCredentialsExhausted, "upstream_credentials_exhausted", 502, "Every provider that could serve the request refuses the gateway's keys.";
    ServiceUnavailable, "service_unavailable", 503, "The service that serves this is down or stopping, neither a provider nor madre could answer, or every provider is left alone for a while.";
    StoreUnavailable, "store_unavailable", 503, "The database does not answer; chat goes on without it.";
    Overloaded, "overloaded", 503, "The service has as much work as it accepts; `Retry-After` says when to come back.";
    HeldPending, "held_pending", 503, "A rule of the gateway holds the request for a person, and the time that its stream waits is over; the sentence names the intervention.";
    HoldUnavailable, "hold_unavailable", 503, "A rule of the gateway wants a person to look at the request, and nobody can be asked now; it was not let through.";
    DeadlineExceeded, "deadline_exceeded", 504, "The answer was not ready within the time limit.";
}

/// The error envelope of every route but the OpenAI ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// Always `false`.
    pub ok: bool,
    /// A sentence for a person.
    pub detail: String,
    /// What a program matches on.
    pub error: ErrorInfo,
    /// Whole seconds until a retry makes sense, where that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after: Option<u64>,
    /// The request that failed.
    pub correlation_id: String,
    /// When it failed, RFC 3339 UTC.
    pub timestamp: String,
}

/// The machine-readable part of an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ErrorInfo {
    /// From the catalogue.
    pub code: ErrorCode,
    /// The offending field, as a path such as `messages[0].role`; only with `invalid_field`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    /// The names that would have been accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub known: Option<Vec<String>>,
    /// Whose limit is reached, such as `org:acme`; with `rate_limited` and `insufficient_quota`, where it is the gateway's
    /// limit of a caller.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit_of: Option<String>,
    /// What the policy keeps off; only with `off_by_policy`.
    #[serde(skip_serializing_if = "Option::is_none", default, flatten)]
    #[schema(schema_with = policy_fields)]
    pub policy: Option<PolicyRefusal>,
    /// Where the intervention stands that was decided before; only with `conflict`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub intervention: Option<Box<StandsAt>>,
    /// Where the unit of work stands, and what it is blocked by; only with `conflict`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unit: Option<Box<UnitStandsAt>>,
}

/// All the fields of a refusal, or none of them: they stand among the others, where there is nothing that could be `null`.
fn policy_fields() -> RefOr<Schema> {
    match PolicyRefusal::schema() {
        RefOr::T(Schema::Object(mut fields)) => {
            fields.required.clear();
            fields.into()
        }
        other => other,
    }
}

/// What is off, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyRefusal {
    /// The service that the policy keeps off.
    pub service: String,
    /// Why, in a sentence.
    pub message: String,
    /// What the caller can do.
    pub recommended_action: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_name_of_a_code_is_what_serde_writes() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).expect("serialises"), code.as_str());
        }
    }

    /// The catalogue as people read it.
    fn catalogue() -> String {
        let mut text = String::from(
            "# Error codes\n\nGenerated from the contracts crate by `make contracts`.\n\nEvery error but those of `/v1` is \
             `{\"ok\": false, \"detail\": \"…\", \"error\": {\"code\": \"…\"}, \"correlation_id\": \"…\", \"timestamp\": \"…\"}`;\n\
             on `/v1` it is `{\"error\": {\"message\", \"type\", \"param\", \"code\"}}`, with the status and code of the last two \
             columns,\nand on `/v1/messages` `{\"type\": \"error\", \"error\": {\"type\", \"message\"}}`, with the same status.\n\n| code | status | meaning | on `/v1` | code there |\n|---|---|---|---|---|\n",
        );
        for code in ErrorCode::ALL {
            let (status, body) = crate::openai::OpenAiError::from_code(*code, String::new(), None);
            let there = body.error.code.unwrap_or_default();
            text +=
                &format!("| `{}` | {} | {} | {status} | `{there}` |\n", code.as_str(), code.status(), code.meaning());
        }
        text
    }

    #[test]
    fn the_catalogue_in_the_docs_is_the_one_in_the_code() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/errors.md");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(file, catalogue()).expect("writable");
        }
        assert_eq!(std::fs::read_to_string(file).expect("readable"), catalogue(), "run `make contracts`");
    }
}
