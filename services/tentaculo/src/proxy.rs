//! The streaming reverse proxy: a request goes to its service, and the answer back, chunk by chunk.

mod body;
mod frames;
mod headers;
mod send;
mod tunnel;

use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::StreamExt;
use http::uri::PathAndQuery;
use vx11_chassis::context::is_valid_id;
use vx11_chassis::server::Admission;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_http_client::Response;
use vx11_resilience::{Choice, Deadline, Outcome};
use vx11_telemetry::client_span;

use crate::canary::is_canarys;
use crate::own_secrets;
use crate::replicas::Target;
use crate::state::State;
use crate::upstream::{Upstream, is_straight};

/// Passes a request on.
pub(crate) async fn proxy(
    state: Data<State>,
    http: HttpRequest,
    context: RequestContext,
    payload: Payload,
) -> Result<HttpResponse, ApiError> {
    let path = http.uri().path();
    if !is_straight(path) {
        return Err(ApiError::new(ErrorCode::MalformedRequest, "the path has dot segments or backslashes"));
    }
    let upstream = state.upstreams.of_path(path).ok_or_else(|| ApiError::not_found("address"))?;
    if matches!(*http.method(), Method::CONNECT | Method::TRACE) {
        // One asks for a tunnel, the other for an answer that shows what the edge adds, the token among it.
        return Err(ApiError::new(ErrorCode::MethodNotAllowed, "the edge does not pass on CONNECT and TRACE"));
    }
    state.limits.check_token(&http)?;
    state.metrics.version(path);
    let config = &state.config;
    let (max_body, longest) = if path.starts_with("/v1") || path.starts_with("/switch") {
        (config.max_model_body, config.model_answer_timeout)
    } else {
        (config.max_body, config.answer_timeout)
    };
    let is_upgrade = tunnel::is_websocket(&http);
    let (body, payload) = if is_upgrade {
        (body::Body::Empty, Some(payload))
    } else {
        (read(&state, &http, payload, max_body).await?, None)
    };
    // Only now: a client that sends slowly must not hold the one probe of a service that may be well again.
    let permit = upstream.breaker.try_acquire().map_err(|open| {
        let seconds = open.retry_after.as_secs_f64().ceil().max(1.0) as u64;
        down(upstream).with_retry_after(seconds)
    })?;

    let canary = is_canarys(&state, upstream, &http);
    let chosen = upstream.replicas.now().choose(canary, rand::random);
    let mut replica = chosen.ok_or_else(|| down(upstream))?;

    let started = Instant::now();
    let url = &replica.target().url;
    let (span, trace) = client_span(http.method().as_str(), upstream.name.as_str(), url, &context.trace);
    let request = send::Outgoing {
        method: headers::method(http.method())?,
        target: target(upstream, &http)?,
        headers: headers::Outgoing {
            http: &http,
            context: &context,
            trace: &trace,
            state: &state,
            is_upgrade,
            deadline: deadline(&http, is_upgrade, context.deadline, longest),
        },
        body,
    };
    // Not within the span: nothing is logged on the way.
    let sent = send::send(&state, upstream, &mut replica, request, longest, context.deadline).await;
    let outcome = sent.as_ref().map_or_else(send::Failure::kind, |_| "ok");
    state.metrics.passed_on(upstream.name, outcome, started.elapsed());
    let response = match sent {
        Ok(response) => {
            permit.success();
            upstream.report(&replica, outcome_of(&response));
            span.record("http.response.status_code", i64::from(response.status().as_u16()));
            if own_secrets::was_wrong(&http, &response) {
                state.limits.wrong_token(&http);
            }
            response
        }
        Err(failure) => {
            if let Some(outcome) = failure.outcome() {
                upstream.report(&replica, outcome);
                // The caller's own fault says nothing about the service, nor does one replica's where others do well;
                // the permit is dropped undecided.
                if !upstream.replicas.now().another_does_well(&replica) {
                    permit.failure();
                }
            }
            span.record("error.type", failure.kind());
            return Err(failure.into_error(upstream));
        }
    };
    adopt_correlation_id(&http, context, &response);
    match (response.status().as_u16(), payload) {
        (101, Some(payload)) => tunnel::open(&state, &http, response, replica, payload).await,
        (101, None) => Err(ApiError::new(ErrorCode::UpstreamError, "the service switched protocols unasked")),
        _ => Ok(answer(&state, &http, response, replica)),
    }
}

/// Takes in the body of a request; a small one that is read whole has to come within the limit of an answer.
async fn read(state: &State, http: &HttpRequest, payload: Payload, limit: usize) -> Result<body::Body, ApiError> {
    let reading = body::read(http, payload, limit);
    tokio::time::timeout(state.config.answer_timeout, reading).await.unwrap_or_else(|_| Err(body::too_slow()))
}

/// What an answer says about the replica.
fn outcome_of(response: &Response) -> Outcome {
    if response.headers().contains_key(headers::DRAINING) {
        Outcome::Leaving
    } else if response.status().is_server_error() {
        Outcome::Bad
    } else {
        Outcome::Good
    }
}

/// A body may name another correlation id than the header; the service has answered under that, and so does the edge.
fn adopt_correlation_id(http: &HttpRequest, context: RequestContext, response: &Response) {
    let answered = response.headers().get(headers::CORRELATION_ID).and_then(|value| value.to_str().ok());
    if let Some(id) = answered.filter(|id| **id != *context.correlation_id && is_valid_id(id)) {
        http.extensions_mut().insert(context.with_correlation_id(id));
    }
}

/// What is kept of a limit for the answer's way back, a tenth of it at most.
const MARGIN: Duration = Duration::from_millis(500);

/// When the service has to have answered, as it is told. Who polls for long is answered a moment before the edge itself
/// gives up, so that the poll ends with what there is, and no failure is counted. What is sent for another method may be
/// answered by a stream: its deadline is the caller's alone.
fn deadline(http: &HttpRequest, is_upgrade: bool, callers: Option<Deadline>, longest: Duration) -> Option<Deadline> {
    if *http.method() != Method::GET || is_upgrade {
        return callers;
    }
    let within = callers.map_or(longest, |callers| longest.min(callers.remaining()));
    Some(Deadline::after(within.saturating_sub(MARGIN.min(within / 10))))
}

/// The same path and query at the service. Both are taken as they are; the path has no segments to resolve.
fn target(upstream: &Upstream, http: &HttpRequest) -> Result<PathAndQuery, ApiError> {
    let prefix = &upstream.prefix;
    let asked = http.uri().path_and_query().map_or("/", |asked| asked.as_str());
    let target = if prefix.is_empty() { asked.parse() } else { format!("{prefix}{asked}").parse() };
    target.map_err(|_| ApiError::new(ErrorCode::MalformedRequest, "the path has characters that no path has"))
}

/// The answer; `replica` has it to do until its end.
fn answer(state: &State, http: &HttpRequest, response: Response, replica: Choice<Target>) -> HttpResponse {
    let mut answer = headers::answer(&response);
    let length = response.content_length();
    let without_body = *http.method() == Method::HEAD || matches!(response.status().as_u16(), 204 | 304);
    if without_body {
        return answer.finish();
    }
    let follows = *http.method() == Method::GET && is_event_stream(&response);
    let chunks = body::chunks(response, replica, state.config.idle_timeout);
    if follows {
        // Events are followed for as long as the edge runs; who follows comes back, and goes on where it was.
        let shutdown = state.shutdown.clone();
        return answer.streaming(Box::pin(chunks.take_until(async move { shutdown.begun().await })));
    }
    match length {
        Some(length) => answer.body(actix_web::body::SizedStream::new(length, Box::pin(chunks))),
        None => answer.streaming(Box::pin(chunks)),
    }
}

fn is_event_stream(response: &Response) -> bool {
    let content_type = response.headers().get(http::header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

fn down(upstream: &Upstream) -> ApiError {
    ApiError::new(
        ErrorCode::ServiceUnavailable,
        format!("the service `{}` is down; try again shortly", upstream.name.as_str()),
    )
}
