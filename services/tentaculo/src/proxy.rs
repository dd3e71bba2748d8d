//! The streaming reverse proxy: a request goes to its service, and the answer back, chunk by chunk.

mod body;
mod frames;
mod headers;
mod send;
mod tunnel;

use std::time::Instant;

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use tracing::Instrument;
use url::Url;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_telemetry::client_span;

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
    state.limits.check_token(&http)?;
    state.metrics.version(path);
    let permit = upstream.breaker.try_acquire().map_err(|open| {
        let seconds = open.retry_after.as_secs_f64().ceil().max(1.0) as u64;
        down(upstream).with_retry_after(seconds)
    })?;
    let limit = if path.starts_with("/v1") || path.starts_with("/switch") {
        state.config.max_model_body
    } else {
        state.config.max_body
    };
    let is_upgrade = tunnel::is_websocket(&http);
    let (body, payload) =
        if is_upgrade { (body::Body::Empty, Some(payload)) } else { (body::read(&http, payload, limit).await?, None) };

    let started = Instant::now();
    let (span, trace) = client_span(http.method().as_str(), upstream.name.as_str(), &upstream.base, &context.trace);
    let request = send::Outgoing {
        method: headers::method(http.method())?,
        url: target(upstream, &http),
        headers: headers::outgoing(&http, &context, &trace, &state, is_upgrade),
        body,
    };
    let sent = send::send(&state, request, &context).instrument(span.clone()).await;
    let outcome = sent.as_ref().map_or_else(send::Failure::kind, |_| "ok");
    state.metrics.passed_on(upstream.name, outcome, started.elapsed());
    let response = match sent {
        Ok(response) => {
            permit.success();
            span.record("http.response.status_code", i64::from(response.status().as_u16()));
            response
        }
        Err(send::Failure::Body(error)) => {
            // The caller's own fault says nothing about the service.
            drop(permit);
            return Err(error);
        }
        Err(failure) => {
            permit.failure();
            span.record("error.type", failure.kind());
            return Err(failure.into_error(upstream));
        }
    };
    match payload {
        Some(payload) if response.status().as_u16() == 101 => tunnel::open(&state, response, payload).await,
        _ => Ok(answer(&state, &http, response)),
    }
}

/// The same path and query at the service. The query is taken as it is; the path has no segments to resolve.
fn target(upstream: &Upstream, http: &HttpRequest) -> Url {
    let mut url = upstream.base.clone();
    let prefix = upstream.base.path().trim_end_matches('/');
    if prefix.is_empty() {
        url.set_path(http.uri().path());
    } else {
        url.set_path(&format!("{prefix}{}", http.uri().path()));
    }
    url.set_query(http.uri().query());
    url
}

fn answer(state: &State, http: &HttpRequest, response: reqwest::Response) -> HttpResponse {
    let mut answer = headers::answer(&response);
    let length = response.content_length();
    let without_body =
        *http.method() == actix_web::http::Method::HEAD || matches!(response.status().as_u16(), 204 | 304);
    if without_body {
        return answer.finish();
    }
    let chunks = body::chunks(response, state.config.idle_timeout);
    match length {
        Some(length) => answer.body(actix_web::body::SizedStream::new(length, Box::pin(chunks))),
        None => answer.streaming(Box::pin(chunks)),
    }
}

fn down(upstream: &Upstream) -> ApiError {
    ApiError::new(
        ErrorCode::ServiceUnavailable,
        format!("the service `{}` is down; try again shortly", upstream.name.as_str()),
    )
}
