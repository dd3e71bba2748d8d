//! Faults that happen before an answer begins, whatever the answer would be.

use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;

use crate::State;
use crate::domain::fault::{FaultPlan, Kind, Span};
use crate::domain::models::split_faults;
use crate::faults::{Applied, part};
use crate::ledger::Open;
use crate::reset;
use crate::streaming::{Cut, LONGEST_HOLD};

/// The header that asks for faults.
const HEADER: &str = "x-mock-fault";

/// The faults of this request.
pub(super) fn plan(state: &State, http: &HttpRequest, model: &str) -> Result<Applied, ApiError> {
    let header = http.headers().get(HEADER).map(|value| value.to_str().unwrap_or("?"));
    let (name, suffix) = split_faults(model);
    state.faults.plan(header, suffix, name).map_err(|error| ApiError::invalid_field("model", error.to_string()))
}

/// Waits, and answers in place of the model where the plan says so; gives `open` back where it does not.
pub(super) async fn before(
    state: &State,
    http: &HttpRequest,
    applied: &Applied,
    open: Open,
) -> Result<Open, HttpResponse> {
    let FaultPlan { latency, status, kind, .. } = &applied.plan;
    if let Some(span) = latency {
        tokio::time::sleep(pick(*span, applied.seed)).await;
    }
    match (kind, status) {
        (Some(Kind::Reset), _) => Err(reset_connection(http, open)),
        (Some(Kind::Hang), _) => Err(hang(state, open).await),
        (Some(Kind::Html), _) => Err(page(open)),
        (Some(Kind::Empty), _) => {
            open.close(200, "empty");
            Err(HttpResponse::Ok().finish())
        }
        (Some(Kind::ContextLength), _) => {
            Err(refusal(open, 400, "context_length_exceeded", "This model's maximum context length is exceeded."))
        }
        (Some(Kind::ContentFilter), _) => {
            Err(refusal(open, 400, "content_filter", "The request was rejected by the content policy."))
        }
        (_, Some(status)) => Err(failure(open, *status, &applied.plan)),
        _ => Ok(open),
    }
}

fn pick(span: Span, seed: u64) -> Duration {
    span.from + (span.to - span.from).mul_f64(part(seed))
}

/// A connection that is reset before the head is written: the body breaks off at once, and the kernel sends RST.
fn reset_connection(http: &HttpRequest, open: Open) -> HttpResponse {
    reset::on_close(http);
    open.close(0, "reset");
    HttpResponse::Ok().streaming(stream::once(async { Err::<Bytes, _>(Cut) }))
}

async fn hang(state: &State, mut open: Open) -> HttpResponse {
    tokio::select! {
        () = tokio::time::sleep(LONGEST_HOLD) => {}
        () = state.shutdown.begun() => {}
    }
    open.will_end("hung");
    HttpResponse::ServiceUnavailable().finish()
}

fn page(open: Open) -> HttpResponse {
    open.close(200, "html");
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html")).body("<html><body>It works!</body></html>\n")
}

fn failure(open: Open, status: u16, plan: &FaultPlan) -> HttpResponse {
    open.close(status, "error");
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(code);
    if let Some(seconds) = plan.retry_after {
        response.insert_header((RETRY_AFTER, seconds));
    }
    if let Some(ms) = plan.retry_after_ms {
        response.insert_header(("retry-after-ms", ms));
    }
    let kind = match status {
        401 | 403 => "authentication_error",
        429 => "rate_limit_error",
        500.. => "server_error",
        _ => "invalid_request_error",
    };
    response.json(json!({ "error": {
        "message": format!("mock fault: status {status}"), "type": kind, "param": null, "code": "mock_fault" } }))
}

fn refusal(open: Open, status: u16, code: &str, message: &str) -> HttpResponse {
    open.close(status, "error");
    HttpResponse::BadRequest().json(json!({ "error": {
        "message": message, "type": "invalid_request_error", "param": "messages", "code": code } }))
}

/// The first half of `body`, under a length that promises all of it.
pub(super) fn truncated(body: Vec<u8>) -> HttpResponse {
    let length = body.len() as u64;
    let half = Bytes::from(body).slice(..(length / 2) as usize);
    let parts = async_stream::stream! {
        yield Ok(half);
        // Lets the first half leave before the connection closes.
        tokio::task::yield_now().await;
        yield Err(Cut);
    };
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "application/json")).body(SizedStream::new(length, Box::pin(parts)))
}

/// What the model was asked for, when there is no such model.
pub(super) fn no_such_model(model: &str) -> ApiError {
    ApiError::new(ErrorCode::ModelNotFound, format!("The model `{model}` does not exist"))
}
