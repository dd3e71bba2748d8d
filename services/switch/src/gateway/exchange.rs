//! One HTTP exchange with a provider, told in outcomes.

use std::time::SystemTime;

use bytes::Bytes;
use reqwest::header::{HeaderName, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::IgnoredAny;
use vx11_chassis::client::{CallError, chain, read_at_most, read_bounded};
use vx11_contracts::headers;

use crate::domain::failover::{Failure, Refusal};
use crate::domain::outcome::{Health, Outcome};
use crate::domain::{rejection, retry};

const REQUEST_ID: HeaderName = HeaderName::from_static(headers::REQUEST_ID);
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static(headers::RETRY_AFTER_MS);

/// Sends `request`, and answers with the response once its head is in and reports success.
pub(super) async fn send(request: RequestBuilder) -> Result<Response, Failure> {
    let response = request.send().await.map_err(failure)?;
    if response.status().is_success() { Ok(response) } else { Err(refusal(response).await) }
}

/// The whole body of an answer of up to `limit` bytes.
pub(super) async fn body(response: Response, limit: usize) -> Result<Bytes, Failure> {
    read_at_most(response, limit).await.map_err(|error| {
        let outcome = match &error {
            CallError::Schema(_) => Outcome::InvalidAnswer,
            _ => Outcome::Transport,
        };
        Failure::new(outcome, error.to_string())
    })
}

/// The provider's own name for the request.
pub(super) fn request_id(response: &Response) -> Option<String> {
    text(response, &REQUEST_ID)
}

async fn refusal(response: Response) -> Failure {
    let status = response.status().as_u16();
    let retry_after = text(&response, &RETRY_AFTER);
    let retry_after_ms = text(&response, &RETRY_AFTER_MS);
    let wait = retry::retry_after(retry_after_ms.as_deref(), retry_after.as_deref(), SystemTime::now());
    let request_id = request_id(&response);
    // What cannot be read is not passed on; the status stands.
    let body = read_bounded(response).await.ok().filter(|body| is_error(body));
    let rejection = body.as_deref().and_then(|body| rejection::classify(status, body));
    let failure = Failure::new(Outcome::Http(status), format!("answered {status}"));
    Failure {
        // A provider that judges requests works.
        health: if rejection.is_some() { Health::Good } else { failure.health },
        rejection,
        retry_after: wait,
        refusal: Some(Box::new(Refusal { status, body, retry_after, retry_after_ms, request_id })),
        ..failure
    }
}

/// Whether a body is an error in the way OpenAI's clients read one.
fn is_error(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Error {
        #[expect(dead_code, reason = "only its presence matters")]
        error: IgnoredAny,
    }
    body.trim_ascii_start().starts_with(b"{") && serde_json::from_slice::<Error>(body).is_ok()
}

fn failure(error: reqwest::Error) -> Failure {
    // A URL may hold what is not for the log.
    let error = error.without_url();
    let outcome = if error.is_connect() {
        Outcome::Connect
    } else if error.is_timeout() {
        Outcome::Timeout
    } else {
        Outcome::Transport
    };
    Failure::new(outcome, chain(&error))
}

fn text(response: &Response, name: &HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}
