//! One HTTP exchange with a provider, told in outcomes.

use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, RETRY_AFTER};
use vx11_chassis::client::{CallError, chain, read_at_most, read_bounded};
use vx11_contracts::headers;
use vx11_http_client::{Error, Request, Response};

use crate::domain::failover::{Failure, Refusal};
use crate::domain::halves::mended;
use crate::domain::outcome::{Health, Outcome};
use crate::domain::request::ChatRequest;
use crate::domain::{rejection, retry};
use crate::wire::{ProviderError, Wire, gemini, in_stream, translate_answer, translate_error};

const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);
const ANTHROPICS_REQUEST_ID: HeaderName = HeaderName::from_static(headers::ANTHROPIC_REQUEST_ID);
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static(headers::RETRY_AFTER_MS);

/// Sends `request` to a provider that speaks `wire`, and answers with the response once its head is in and reports
/// success. `note` is told whether it may have been sent by now.
pub(super) async fn send(request: Request, wire: Wire, note: impl Fn(bool)) -> Result<Response, Failure> {
    let response = request.send_noting(note).await.map_err(failure)?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(response, wire).await) }
}

/// The whole body of an answer of up to `limit` bytes.
pub(super) async fn body(response: Response, limit: usize) -> Result<Bytes, Failure> {
    read_at_most(response, limit).await.map_err(|error| {
        let outcome = match &error {
            CallError::Schema(_) => Outcome::AnswerTooLarge,
            _ => Outcome::AnswerCut,
        };
        Failure::new(outcome, error.to_string())
    })
}

/// An answer in `wire` as a chat completion.
pub(super) fn completion(body: &Bytes, wire: Wire) -> Result<Bytes, Failure> {
    if wire == Wire::OpenAi {
        return Ok(match mended(body) {
            Cow::Borrowed(_) => body.clone(),
            Cow::Owned(mended) => mended.into(),
        });
    }
    translate_answer(&mended(body), wire, unix_seconds())
        .map_err(|_| Failure::new(Outcome::InvalidAnswer, "not an answer of the provider's wire"))
}

/// The vectors of `model` in `wire`, as OpenAI's wire has them, in the encoding that `request` asks for.
pub(super) fn embeddings(body: &Bytes, wire: Wire, request: &ChatRequest, model: &str) -> Result<Bytes, Failure> {
    if wire != Wire::Gemini {
        return Ok(body.clone());
    }
    gemini::embeddings::answer(body, request.body(), model)
        .map_err(|_| Failure::new(Outcome::InvalidAnswer, "not vectors of the provider's wire"))
}

/// The time of an answer, where its own wire does not say it.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The provider's own name for the request.
pub(super) fn request_id(response: &Response) -> Option<String> {
    text(response, &REQUEST_ID).or_else(|| text(response, &ANTHROPICS_REQUEST_ID))
}

async fn refusal(response: Response, wire: Wire) -> Failure {
    let status = response.status().as_u16();
    let retry_after = text(&response, &RETRY_AFTER);
    let retry_after_ms = text(&response, &RETRY_AFTER_MS);
    let request_id = request_id(&response);
    // What cannot be read is not passed on; the status stands.
    let body = read_bounded(response).await.unwrap_or_default();
    let error = translate_error(status, &body, wire);
    let said = Refusal { status, body: None, retry_after, retry_after_ms, request_id };
    refused(error, said, format!("answered {status}"))
}

/// The failure that a provider reports in `data`, in the place of an answer or of its events, under a status that
/// reports success; what is `named` an error is one whatever it says. `None`: it reports none.
pub(super) fn reported(data: &[u8], named: bool, wire: Wire, request_id: Option<&str>) -> Option<Failure> {
    let error = in_stream(data, named, wire)?;
    let request_id = request_id.map(str::to_owned);
    let said = Refusal { status: error.status, body: None, retry_after: None, retry_after_ms: None, request_id };
    Some(refused(error, said, "an error came in place of an answer".to_owned()))
}

/// What is wrong with a whole answer that came in `wire`: the error that its provider reports in the place of one, else
/// `failure`, which it was found out by.
pub(super) fn wrong(body: &[u8], wire: Wire, request_id: Option<&str>, failure: Failure) -> Failure {
    match failure.outcome {
        Outcome::InvalidAnswer | Outcome::AnswerCut => reported(body, false, wire, request_id).unwrap_or(failure),
        _ => failure,
    }
}

/// The failure of a provider that answers with something else than the stream that was asked for.
pub(super) async fn no_stream(response: Response, wire: Wire) -> Failure {
    let content_type = text(&response, &CONTENT_TYPE).unwrap_or_default();
    let request_id = request_id(&response);
    let is_json = content_type.starts_with("application/json");
    let body = if is_json { read_bounded(response).await.unwrap_or_default() } else { Bytes::new() };
    reported(&body, false, wire, request_id.as_deref()).unwrap_or_else(|| {
        Failure::new(Outcome::InvalidAnswer, format!("a stream was asked for, `{content_type}` came"))
    })
}

/// What follows from a provider's error, with what was `said` beside it.
fn refused(error: ProviderError, said: Refusal, cause: String) -> Failure {
    let ProviderError { status: meant, body, retry_after: seconds } = error;
    let retry_after = said.retry_after.or_else(|| seconds.map(|seconds| seconds.to_string()));
    let wait = retry::retry_after(said.retry_after_ms.as_deref(), retry_after.as_deref(), SystemTime::now());
    let rejection = body.as_deref().and_then(|body| rejection::classify(meant, body));
    let failure = Failure::new(Outcome::Http(meant), cause);
    let health = match (rejection, meant, &body) {
        // A provider that judges requests works.
        (Some(_), ..) => Health::Good,
        // Not the model is not there, but the provider, where its address says that it is.
        (None, 404, None) => Health::Bad,
        _ => failure.health,
    };
    Failure {
        health,
        rejection,
        retry_after: wait,
        refusal: Some(Box::new(Refusal { status: meant, body, retry_after, ..said })),
        ..failure
    }
}

fn failure(error: Error) -> Failure {
    let outcome = if error.is_connect() { Outcome::Connect } else { Outcome::Transport };
    let failure = Failure::new(outcome, chain(&error));
    // A caller in a hurry must not shut a provider off for all others.
    let health = if matches!(error, Error::Hurried) { Health::Unknown } else { failure.health };
    Failure { health, ..failure }
}

fn text(response: &Response, name: &HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}
