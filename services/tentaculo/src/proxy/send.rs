//! Sends a request to a service, a second time only where the first cannot have had an effect, and then to another
//! replica where there is one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use http::Method;
use http::uri::PathAndQuery;
use vx11_chassis::ApiError;
use vx11_chassis::client::chain;
use vx11_contracts::ErrorCode;
use vx11_http_client::{Error, Response};
use vx11_resilience::{Choice, Deadline, Outcome};

use super::body::{self, Body};
use super::{down, headers};
use crate::replicas::Target;
use crate::state::State;
use crate::upstream::Upstream;

/// A request to a service.
pub(super) struct Outgoing<'r> {
    pub(super) method: Method,
    pub(super) target: PathAndQuery,
    pub(super) headers: headers::Outgoing<'r>,
    pub(super) body: Body,
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The service could not be reached: nothing was sent.
    Connect(String),
    /// The connection broke before the answer's head.
    Broken(String),
    /// The head did not come in time.
    Timeout,
    /// The head did not come within the caller's own, shorter deadline.
    Late,
    /// The client's body was refused.
    Body(ApiError),
}

impl Failure {
    /// A label.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Connect(_) => "connect",
            Self::Broken(_) => "transport",
            Self::Timeout => "timeout",
            Self::Late => "deadline",
            Self::Body(_) => "client",
        }
    }

    /// What it says about the replica; `None` where it is the caller's.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Connect(_) => Some(Outcome::Unreachable),
            Self::Broken(_) | Self::Timeout => Some(Outcome::Bad),
            Self::Late | Self::Body(_) => None,
        }
    }

    pub(super) fn into_error(self, upstream: &Upstream) -> ApiError {
        let name = upstream.name.as_str();
        match self {
            Self::Connect(cause) => down(upstream).with_retry_after(1).with_cause(cause),
            Self::Broken(cause) => {
                ApiError::new(ErrorCode::UpstreamError, format!("the service `{name}` broke off")).with_cause(cause)
            }
            Self::Timeout | Self::Late => {
                ApiError::new(ErrorCode::DeadlineExceeded, format!("the service `{name}` did not answer in time"))
            }
            Self::Body(error) => error,
        }
    }
}

/// Sends `request` and waits for the head of the answer, `longest` or to the caller's own `deadline`. `replica` is who
/// was asked last.
pub(super) async fn send(
    state: &State,
    upstream: &Upstream,
    replica: &mut Choice<Target>,
    request: Outgoing<'_>,
    longest: Duration,
    deadline: Option<Deadline>,
) -> Result<Response, Failure> {
    let limit = deadline.map_or(longest, |deadline| longest.min(deadline.remaining()));
    if limit.is_zero() {
        return Err(Failure::Late);
    }
    let owed = request.body.owed();
    match tokio::time::timeout(limit, send_or_retry(state, upstream, replica, request)).await {
        Ok(sent) => sent,
        Err(_) if limit < longest => Err(Failure::Late),
        Err(_) if owed.is_some_and(|owed| owed.load(Ordering::Relaxed)) => Err(Failure::Body(body::too_slow())),
        Err(_) => Err(Failure::Timeout),
    }
}

async fn send_or_retry(
    state: &State,
    upstream: &Upstream,
    replica: &mut Choice<Target>,
    request: Outgoing<'_>,
) -> Result<Response, Failure> {
    state.retries.record_request();
    let Outgoing { method, target, headers, mut body } = request;
    let once = |replica: &Choice<Target>, body: &Body| {
        let mut request = replica.target().client(state.worker).request(method.clone(), target.clone());
        headers.write(request.headers_mut());
        body.give(request).send()
    };
    let sent = once(replica, &body).await;
    if let Some(refused) = body.refused() {
        return Err(Failure::Body(refused));
    }
    let failure = match sent {
        Ok(response) => return Ok(response),
        Err(error) => failure(error),
    };
    let is_safe = matches!(method, Method::GET | Method::HEAD | Method::OPTIONS);
    let may_retry = match &failure {
        Failure::Connect(_) => true,
        Failure::Broken(_) => is_safe && body.is_whole(),
        Failure::Timeout | Failure::Late | Failure::Body(_) => false,
    };
    if !may_retry || !state.retries.try_retry() {
        return Err(failure);
    }
    state.metrics.retries.inc();
    if let Some(outcome) = failure.outcome() {
        upstream.report(replica, outcome);
    }
    let another = upstream.replicas.now().choose_another(replica, rand::random);
    match another {
        Some(another) => *replica = another,
        None => tokio::time::sleep(jitter()).await,
    }
    let sent = once(replica, &body).await;
    match body.refused() {
        Some(refused) => Err(Failure::Body(refused)),
        None => sent.map_err(self::failure),
    }
}

fn failure(error: Error) -> Failure {
    if error.is_connect() { Failure::Connect(chain(&error)) } else { Failure::Broken(chain(&error)) }
}

/// A short pause of random length, so that many callers do not come back at once.
fn jitter() -> Duration {
    Duration::from_millis(rand::random_range(5..50))
}
