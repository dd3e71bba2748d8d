//! `POST /operator/api/chat`

use std::convert::Infallible;
use std::time::Instant;

use actix_web::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, post};
use futures_util::StreamExt;
use vx11_chassis::auth::Caller;
use vx11_chassis::extract::Json;
use vx11_chassis::header_names::{INTERVENTION, STORAGE};
use vx11_chassis::{ApiError, RequestContext, sse};
use vx11_contracts::chat::{ChatFrame, ChatRequest, ChatResponse};
use vx11_contracts::intervention::Held;
use vx11_contracts::sse::SseEvent;
use vx11_contracts::{ErrorBody, ErrorCode};

use super::performance::Recorded;
use crate::chat::{Accepted, Asker, Reply, frames};
use crate::state::State;

/// Answer a message; as server-sent events where `stream` or the `Accept` header asks for them.
///
/// Where a rule of the gateway holds the message for a person, the answer is 202, or the frame `held`; the same message
/// again with `x-vx11-intervention` goes on once it is approved.
#[utoipa::path(tag = "chat", request_body = ChatRequest,
    params(("x-vx11-intervention" = Option<String>, Header, description = "the intervention that a held message comes back with")),
    responses(
    (status = 200, content((ChatResponse = "application/json"), (SseEvent<ChatFrame> = "text/event-stream"))),
    (status = 202, body = Held, description = "a rule of the gateway holds the message for a person",
        headers(("Location" = String, description = "the intervention's address"))),
    (status = "4XX", body = ErrorBody),
    (status = 503, body = ErrorBody, description = "neither a provider nor madre could answer"),
    (status = 504, body = ErrorBody),
))]
#[post("/chat")]
pub(crate) async fn chat(
    state: Data<State>,
    http: HttpRequest,
    caller: Caller,
    context: RequestContext,
    body: Json<ChatRequest>,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let streamed = body.0.stream || accepts_events(&http);
    let asked = state.chat.accept(body.0, Asker::of(&caller.0), context)?;
    let asked = Accepted { intervention: intervention(&http)?, ..asked };
    http.extensions_mut().insert(asked.context.clone());
    state.chat.admit(&asked).await?;
    http.extensions_mut().insert(Recorded);
    if streamed {
        return Ok(stream(&state, asked, started));
    }
    let answer = match state.chat.answer(&asked, started).await? {
        Reply::Answer(answer) => answer,
        Reply::Held(held) => return Ok(accepted(&held)),
    };
    let mut response = HttpResponse::Ok();
    if let Some(storage) = answer.storage {
        response.insert_header((STORAGE, storage.as_str()));
    }
    Ok(response.json(answer))
}

/// The intervention that the caller comes back with.
fn intervention(http: &HttpRequest) -> Result<Option<http::HeaderValue>, ApiError> {
    let Some(id) = http.headers().get(INTERVENTION) else { return Ok(None) };
    let id = http::HeaderValue::from_bytes(id.as_bytes());
    id.map(Some)
        .map_err(|_| ApiError::new(ErrorCode::MalformedRequest, format!("the header {INTERVENTION} cannot be read")))
}

/// 202: the chat waits for a person.
fn accepted(held: &Held) -> HttpResponse {
    HttpResponse::Accepted()
        .insert_header((LOCATION, held.intervention.href.as_str()))
        .insert_header((RETRY_AFTER, held.retry_after))
        .insert_header((INTERVENTION, held.intervention.id.as_str()))
        .json(held)
}

fn stream(state: &State, asked: Accepted, started: Instant) -> HttpResponse {
    let span = tracing::Span::current();
    let mut frames = Box::pin(frames(state.chat.clone(), asked, started));
    // The body is read outside of the request's span; its log lines belong to it all the same.
    let body = futures_util::stream::poll_fn(move |task| {
        let _entered = span.enter();
        frames.poll_next_unpin(task)
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, sse::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .streaming(body.map(Ok::<_, Infallible>))
}

fn accepts_events(request: &HttpRequest) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|value| value.split(',').any(|part| part.trim().starts_with(sse::CONTENT_TYPE)))
}
