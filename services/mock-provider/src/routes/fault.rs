//! Faults that happen before an answer begins, whatever the answer would be.

use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::Value;
use vx11_chassis::ApiError;

use crate::State;
use crate::domain::fault::{FaultPlan, Kind, Span};
use crate::domain::models::split_faults;
use crate::faults::{Applied, part};
use crate::ledger::Open;
use crate::reset;
use crate::streaming::{Cut, LONGEST_HOLD, hold};
use crate::wire::{Refusal, Wire};

/// The header that asks for faults.
const HEADER: &str = "x-mock-fault";

/// The faults of this request.
pub(super) fn plan(state: &State, http: &HttpRequest, model: &str) -> Result<Applied, ApiError> {
    let header = http.headers().get(HEADER).map(|value| value.to_str().unwrap_or("?"));
    let (name, suffix) = split_faults(model);
    let asked_in = if header.is_some() { HEADER } else { "model" };
    state.faults.plan(header, suffix, name).map_err(|error| ApiError::invalid_field(asked_in, error.to_string()))
}

/// Waits, and answers in place of the model where the plan says so; gives `open` back where it does not.
pub(super) async fn before(
    state: &State,
    http: &HttpRequest,
    wire: Wire,
    applied: &Applied,
    open: Open,
) -> Result<Open, HttpResponse> {
    let FaultPlan { latency, status, in_body, retry_after, retry_after_ms, kind, .. } = applied.plan;
    if let Some(span) = latency {
        tokio::time::sleep(pick(span, applied.seed)).await;
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
            let refusal = Refusal::TooLong(open.prompt_tokens);
            Err(refuse(wire, open, &refusal))
        }
        (Some(Kind::TokensPerMinute), _) => {
            let refusal = Refusal::TooMuch(open.prompt_tokens);
            Err(refuse(wire, open, &refusal))
        }
        // On the other wires, these are answers.
        (Some(Kind::ContentFilter), _) if wire != Wire::Gemini => Err(refuse(wire, open, &Refusal::Filtered)),
        (Some(Kind::ContentPolicy), _) if matches!(wire, Wire::OpenAi | Wire::Responses) => {
            Err(refuse(wire, open, &Refusal::Policy))
        }
        (_, Some(status)) if in_body => Err(refuse_in_body(wire, open, status)),
        (_, Some(status)) => Err(refuse(wire, open, &Refusal::Fault { status, retry_after, retry_after_ms })),
        _ => Ok(open),
    }
}

/// Writes down the refusal, and sends it.
pub(super) fn refuse(wire: Wire, open: Open, refusal: &Refusal) -> HttpResponse {
    let response = wire.refuse(refusal);
    open.close(response.status().as_u16(), "error");
    response
}

/// The error of `status`, under that of an answer.
fn refuse_in_body(wire: Wire, open: Open, status: u16) -> HttpResponse {
    let (_, mut body) = wire.error(&Refusal::Fault { status, retry_after: None, retry_after_ms: None });
    if wire == Wire::OpenAi {
        // As OpenRouter has it.
        body["error"]["code"] = status.into();
    }
    open.close(200, "error");
    wire.respond(200).json(body)
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
    hold(&state.shutdown).await;
    open.will_end("hung");
    HttpResponse::ServiceUnavailable().finish()
}

fn page(open: Open) -> HttpResponse {
    open.close(200, "html");
    HttpResponse::Ok().insert_header((CONTENT_TYPE, "text/html")).body("<html><body>It works!</body></html>\n")
}

/// Waits for as long as a stream of this many tokens would take.
pub(super) async fn spoken(plan: &FaultPlan, tokens: u64) {
    let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
    let drip = plan.drip.unwrap_or_default().saturating_mul(tokens);
    let wait = plan.first_token.unwrap_or_default().saturating_add(drip).min(LONGEST_HOLD);
    // tokio's timer rounds up to a millisecond, and no wait at all is asked for by nearly every request.
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// A whole answer, or what the plan makes of it: one that stops in its middle, or that is not JSON.
pub(super) fn whole(state: &State, wire: Wire, plan: &FaultPlan, mut open: Open, body: &Value) -> HttpResponse {
    // Faster than its `Display`, which goes through a formatter.
    let json = serde_json::to_vec(body).map_or_else(|_| Bytes::new(), Bytes::from);
    let half = json.slice(..json.len() / 2);
    let length = json.len() as u64;
    let mut answer = wire.respond(200);
    answer.insert_header((CONTENT_TYPE, "application/json"));
    if plan.kind == Some(Kind::Truncate) || plan.cut.is_some() {
        open.close(200, "cut");
        answer.body(SizedStream::new(length, Box::pin(cut_after(half, std::future::ready(())))))
    } else if plan.stall.is_some() {
        let shutdown = state.shutdown.clone();
        open.status = 200;
        let held = async move {
            hold(&shutdown).await;
            open.will_end("hung");
        };
        answer.body(SizedStream::new(length, Box::pin(cut_after(half, held))))
    } else if plan.malformed.or(plan.garbled).is_some() {
        open.close(200, "malformed");
        answer.body(half)
    } else {
        open.close(200, "completed");
        answer.body(json)
    }
}

/// `half`, then the close of the connection once `wait` is over.
fn cut_after(half: Bytes, wait: impl Future<Output = ()>) -> impl Stream<Item = Result<Bytes, Cut>> {
    async_stream::stream! {
        yield Ok(half);
        // Lets it leave before the connection closes.
        tokio::task::yield_now().await;
        wait.await;
        yield Err(Cut);
    }
}
