//! One target did not answer: how that went, and what the provider has to say about it.

use std::time::Duration;

use bytes::Bytes;
use serde_json::json;

use crate::domain::outcome::{Health, Outcome};
use crate::domain::rejection::Rejection;
use crate::wire::Untranslatable;

/// A provider's own error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Its HTTP status.
    pub(crate) status: u16,
    /// Its body, where that is JSON with an `error` in it.
    pub(crate) body: Option<Bytes>,
    /// Its `Retry-After`, as it stands.
    pub(crate) retry_after: Option<String>,
    /// Its `retry-after-ms`, as it stands.
    pub(crate) retry_after_ms: Option<String>,
    /// Its `x-request-id`.
    pub(crate) request_id: Option<String>,
}

/// One target did not answer.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the call went.
    pub(crate) outcome: Outcome,
    /// What that says about the provider.
    pub(crate) health: Health,
    /// What the provider answered instead.
    pub(crate) refusal: Option<Box<Refusal>>,
    /// What the provider has against the request itself.
    pub(crate) rejection: Option<Rejection>,
    /// How long the provider asks to be left alone; where it was not asked, when it can be.
    pub(crate) retry_after: Option<Duration>,
    /// The number of the key that it was asked with, where the provider has something against that.
    pub(crate) key: Option<usize>,
    /// That of another one, which can be used at once.
    pub(crate) other_key: Option<usize>,
    /// The cause, for the log.
    pub(crate) cause: String,
}

impl Failure {
    /// A failure that says about the provider what its outcome usually says.
    pub(crate) fn new(outcome: Outcome, cause: impl Into<String>) -> Self {
        let health = outcome.health();
        let cause = cause.into();
        Self { outcome, health, refusal: None, rejection: None, retry_after: None, key: None, other_key: None, cause }
    }

    /// What is asked cannot be said in the target's wire. The refusal is in the pivot, as a provider's would be.
    pub(crate) fn untranslatable(Untranslatable { field, problem }: Untranslatable) -> Self {
        let message = format!("{field}: {problem}");
        let error =
            json!({"message": message, "type": "invalid_request_error", "param": field, "code": "untranslatable"});
        let body = json!({"error": error}).to_string().into();
        let refusal =
            Refusal { status: 400, body: Some(body), retry_after: None, retry_after_ms: None, request_id: None };
        Self { refusal: Some(Box::new(refusal)), ..Self::new(Outcome::Untranslatable, message) }
    }
}
