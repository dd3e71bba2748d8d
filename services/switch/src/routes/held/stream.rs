//! A held request whose answer is a stream: its head is sent at once, and pings while a person decides. What follows is
//! the answer, or an error in the words of the caller's wire.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody, to_bytes};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use async_stream::stream;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;
use vx11_chassis::{ApiError, header_names, sse};
use vx11_contracts::ErrorCode;
use vx11_contracts::headers;
use vx11_contracts::intervention::Held;
use vx11_contracts::switch::SwitchFrame;

use super::{GoOn, Shape, Stay};
use crate::domain::responses::Passed;
use crate::hold::{Decided, Place, Ticket};
use crate::routes::pings::Pinged;
use crate::routes::{events, responses_stream};

/// The response whose body waits `until` a person has decided.
pub(super) fn respond(stay: Stay, ticket: Ticket, until: Instant, place: Option<Place>, go_on: GoOn) -> HttpResponse {
    let ping_interval = stay.ping_interval;
    let mut response = head();
    response.insert_header((header_names::INTERVENTION, ticket.id()));
    let span = tracing::Span::current();
    let mut body = Box::pin(wait(stay, ticket, until, place, go_on));
    // The body is read outside of the request's span; its log lines belong to it all the same.
    let body = futures_util::stream::poll_fn(move |task| {
        let _entered = span.enter();
        body.poll_next_unpin(task)
    });
    response.streaming(Pinged::new(body, ping_interval))
}

/// The response to a chat of `/switch/chat` that does not wait: one frame.
pub(super) fn held_frame(held: &Held) -> HttpResponse {
    let mut response = head();
    response.insert_header((header_names::INTERVENTION, held.intervention.id.as_str()));
    response.body(switch(&SwitchFrame::Held(held.clone())))
}

fn head() -> actix_web::HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CONTENT_TYPE, sse::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header((headers::ACCEL_BUFFERING, "no"));
    response
}

fn wait(
    stay: Stay,
    mut ticket: Ticket,
    until: Instant,
    place: Option<Place>,
    go_on: GoOn,
) -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream! {
        let intervention = ticket.intervention();
        yield Ok(format!(": held by {} at {}\n\n", intervention.id, intervention.href).into());
        let decided = ticket.decided(until).await;
        drop(place);
        let (shape, correlation_id) = (stay.shape, stay.context.correlation_id.clone());
        if decided == Decided::Pending {
            let held = stay.pending(&mut ticket);
            yield Ok(match shape {
                Shape::Switch => switch(&SwitchFrame::Held(held)),
                _ => shape.error(&ApiError::new(ErrorCode::HeldPending, held.detail), &correlation_id),
            });
            return;
        }
        let response = match stay.conclude(ticket, decided, go_on).await {
            Ok(response) => response,
            Err(error) => {
                yield Ok(shape.error(&error, &correlation_id));
                return;
            }
        };
        if response.status() != StatusCode::OK {
            yield Ok(shape.refusal(response, &correlation_id).await);
            return;
        }
        let mut body = response.into_body();
        while let Some(piece) = next(&mut body).await {
            match piece {
                Ok(bytes) => yield Ok(bytes),
                Err(error) => {
                    yield Ok(shape.error(&ApiError::internal(error), &correlation_id));
                    return;
                }
            }
        }
    }
}

async fn next(body: &mut BoxBody) -> Option<Result<Bytes, Box<dyn std::error::Error>>> {
    poll_fn(|task| Pin::new(&mut *body).poll_next(task)).await
}

fn switch(frame: &SwitchFrame) -> Bytes {
    sse::event(None, Some(frame.event()), frame)
}

impl Shape {
    /// The last event of a stream that says why there is no answer.
    fn error(self, error: &ApiError, correlation_id: &str) -> Bytes {
        match self {
            Self::OpenAi => sse::event(None, None, &error.openai_body().1),
            Self::Anthropic => sse::event(None, Some("error"), &error.anthropic_body().1),
            Self::Responses => failed(error.detail()),
            Self::Switch => switch(&SwitchFrame::Error(error.body(correlation_id))),
        }
    }

    /// The same of an answer that is an error: the gateway's own, or a provider's in its words.
    async fn refusal(self, response: HttpResponse, correlation_id: &str) -> Bytes {
        if let Some(error) = response.error().and_then(|error| error.as_error::<ApiError>()) {
            return self.error(error, correlation_id);
        }
        let Ok(body) = to_bytes(response.into_body()).await else {
            return self.error(&ApiError::internal("the error has no body"), correlation_id);
        };
        match self {
            Self::OpenAi => events::data(&body),
            Self::Anthropic => [b"event: error\n".as_slice(), &events::data(&body)].concat().into(),
            Self::Responses | Self::Switch => {
                let said: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
                let said = said.as_ref().and_then(|said| said["error"]["message"].as_str());
                let error = ApiError::new(ErrorCode::UpstreamError, said.unwrap_or("the provider refused the request"));
                self.error(&error, correlation_id)
            }
        }
    }
}

/// The events of a response that failed before it began.
fn failed(detail: &str) -> Bytes {
    let events = Passed::default().fail(detail);
    let events: Vec<Bytes> = events.iter().map(responses_stream::write_event).collect();
    events.concat().into()
}
