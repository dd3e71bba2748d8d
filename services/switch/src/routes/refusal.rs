//! What callers are told when a request leads nowhere, or nobody answers.

use std::time::{Duration, SystemTime};

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, HttpResponseBuilder};
use serde::Deserialize;
use vx11_chassis::ApiError;
use vx11_contracts::{ErrorCode, headers};

use super::way::Way;
use crate::accounts::Caller;
use crate::domain::failover::{Reason, Refusal};
use crate::domain::outcome::Outcome;
use crate::domain::request::BadRequest;
use crate::domain::retry;
use crate::domain::routing::NoRoute;
use crate::wire::Wire;
use crate::wire::anthropic::inbound;

/// How much of a provider's own sentence is repeated.
const MAX_SENTENCE: usize = 500;

impl From<BadRequest> for ApiError {
    fn from(bad: BadRequest) -> Self {
        match bad {
            BadRequest::Malformed(problem) => {
                Self::new(ErrorCode::MalformedRequest, format!("the body cannot be read: {problem}"))
            }
            BadRequest::Field { name, problem } => Self::invalid_field(name.clone(), format!("{name}: {problem}")),
        }
    }
}

/// The request leads nowhere. What there is instead `caller` hears as far as it may ask for it: of models those of its
/// key, of providers nothing where it may not ask for all that they serve.
pub(super) fn no_route(no_route: NoRoute, caller: &Caller, model: &str, pinned: Option<&str>) -> ApiError {
    match no_route {
        NoRoute::UnknownProvider(known) => {
            let detail = format!("there is no provider `{}`", pinned.unwrap_or_default());
            let error = ApiError::new(ErrorCode::UnknownProvider, detail);
            if caller.may_use_all() { error.with_known(known) } else { error }
        }
        NoRoute::ModelNotFound(mut known) => {
            let detail = match pinned {
                Some(provider) => format!("the provider `{provider}` does not serve the model `{model}`"),
                None => format!("the model `{model}` does not exist"),
            };
            known.retain(|model| caller.may_use(model));
            ApiError::new(ErrorCode::ModelNotFound, detail).with_known(known)
        }
    }
}

/// Nobody answered, as clients of `wire` are told: in the provider's own words where they mean the same to the caller.
pub(super) fn in_wire(wire: Wire, reason: &Reason, way: Way<'_>) -> HttpResponse {
    passed_on(wire, reason, way).unwrap_or_else(|| unanswered(reason, way))
}

/// Nobody answered, in the codes of the catalogue.
pub(super) fn unanswered(reason: &Reason, way: Way<'_>) -> HttpResponse {
    // Its body is written where the correlation id is known; what is told here stays.
    way.tell(HttpResponse::from_error(in_our_words(reason, way)), None)
}

fn in_our_words(reason: &Reason, way: Way<'_>) -> ApiError {
    match reason {
        Reason::Refused(refusal) => refused(refusal, way),
        Reason::ProviderError(refusal) if refusal.status == 429 => {
            let error =
                ApiError::new(ErrorCode::RateLimited, format!("every provider is at its limit: {}", way.sentence()));
            match wait(refusal) {
                Some(wait) => error.with_retry_after(whole_seconds(wait)),
                None => error,
            }
        }
        Reason::ProviderError(_) | Reason::Exhausted => {
            ApiError::new(ErrorCode::UpstreamError, format!("no provider answered: {}", way.sentence()))
        }
        Reason::OutOfTime => {
            let tried = if way.tried.is_empty() { "none was asked".to_owned() } else { way.sentence() };
            ApiError::new(ErrorCode::DeadlineExceeded, format!("no provider answered in time: {tried}"))
        }
        Reason::AllOpen(retry_after) => {
            let detail = format!("every provider is failing and is left alone for a while: {}", way.sentence());
            ApiError::new(ErrorCode::ServiceUnavailable, detail).with_retry_after(whole_seconds(*retry_after))
        }
        Reason::AllLimited(retry_after) => {
            let detail = format!("every provider is at its limit: {}", way.sentence());
            ApiError::rate_limited(whole_seconds(*retry_after), detail)
        }
        Reason::Overloaded(retry_after) => {
            let detail = format!("every provider has as much work as it takes: {}", way.sentence());
            ApiError::new(ErrorCode::Overloaded, detail).with_retry_after(whole_seconds(*retry_after))
        }
        Reason::CredentialsExhausted => {
            let detail = format!("no provider accepts the gateway's keys: {}", way.sentence());
            ApiError::new(ErrorCode::UpstreamCredentialsExhausted, detail)
        }
    }
}

/// Rounded up: a caller that comes too early would be refused again.
fn whole_seconds(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000).max(1) as u64
}

/// The provider's own error answer, where there is one that means to the caller what it meant to the gateway.
fn passed_on(wire: Wire, reason: &Reason, way: Way<'_>) -> Option<HttpResponse> {
    let (Reason::Refused(refusal) | Reason::ProviderError(refusal)) = reason else { return None };
    let body = refusal.body.clone()?;
    let body = match wire {
        Wire::OpenAi | Wire::Gemini | Wire::Responses => body,
        Wire::Anthropic => serde_json::to_vec(&inbound::error(refusal.status, &body)?).ok()?.into(),
    };
    let mut response = HttpResponseBuilder::new(StatusCode::from_u16(refusal.status).ok()?);
    response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
    for (name, value) in retry_after(refusal) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.insert_header((name, value));
        }
    }
    Some(way.tell(response.body(body), refusal.request_id.as_deref()))
}

/// When the provider wants to be asked again: in both headers, where it named one of them.
fn retry_after(refusal: &Refusal) -> impl Iterator<Item = (HeaderName, String)> {
    let wait = wait(refusal);
    let seconds = refusal.retry_after.clone().or_else(|| Some(wait?.as_millis().div_ceil(1000).to_string()));
    let ms = refusal.retry_after_ms.clone().or_else(|| Some(wait?.as_millis().to_string()));
    let seconds = seconds.map(|seconds| (RETRY_AFTER, seconds));
    let ms = ms.map(|ms| (HeaderName::from_static(headers::RETRY_AFTER_MS), ms));
    seconds.into_iter().chain(ms)
}

/// How long the provider asks to be left alone, in whichever way it says so.
fn wait(refusal: &Refusal) -> Option<Duration> {
    retry::retry_after(refusal.retry_after_ms.as_deref(), refusal.retry_after.as_deref(), SystemTime::now())
}

/// A stream that will not be finished.
pub(super) fn broken(outcome: Outcome) -> ApiError {
    match outcome {
        Outcome::Timeout => {
            ApiError::new(ErrorCode::DeadlineExceeded, "the time for the answer is over; it is incomplete")
        }
        _ => {
            let detail = format!("the provider broke off ({outcome}); the answer is incomplete");
            ApiError::new(ErrorCode::UpstreamError, detail)
        }
    }
}

fn refused(refusal: &Refusal, way: Way<'_>) -> ApiError {
    let code = match refusal.status {
        404 => ErrorCode::ModelNotFound,
        413 => ErrorCode::PayloadTooLarge,
        422 => ErrorCode::InvalidField,
        _ => ErrorCode::MalformedRequest,
    };
    let said = refusal.body.as_deref().and_then(sentence).unwrap_or_else(|| format!("it answered {}", refusal.status));
    let provider = way.last().map_or("the provider", |(provider, _)| provider);
    ApiError::new(code, format!("{provider} refused the request: {said}"))
}

/// What a provider says in its error, cut to a readable length.
fn sentence(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Body {
        error: Error,
    }
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let Body { error: Error { mut message } } = serde_json::from_slice(body).ok()?;
    if let Some((end, _)) = message.char_indices().nth(MAX_SENTENCE) {
        message.truncate(end);
    }
    Some(message)
}
