//! `POST /v1/responses`: OpenAI's newer wire, forwarded as bytes to providers that speak it, and answered by way of
//! chat completions by others.

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::HttpResponse;
use uuid::Uuid;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::sse::SseTextEvent;

use super::failures::Failures;
use super::order::{Arrival, Stop};
use super::responses_stream;
use crate::domain::responses::{Builder, ResponsesRequest};
use crate::gateway::Completed;

/// A response, in OpenAI's Responses wire, from any provider.
///
/// A provider that has Responses gets the body as it came, and its answer is handed on so. Any other is asked for a
/// chat in its place; nothing is stored then, so that `previous_response_id`, `conversation`, `store: true` and stored
/// prompts are refused where nobody has Responses, and so are the tools that OpenAI runs itself. `background: true`
/// always is. With `stream: true` the answer is `text/event-stream`, and its last event is always one of
/// `response.completed`, `response.incomplete` and `response.failed`.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "openai",
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, description = "A response object, or its events.",
            content((serde_json::Value = "application/json"), (SseTextEvent = "text/event-stream"))),
        (status = 400, body = OpenAiError, description = "A field is wrong or cannot be kept; `param` names it."),
        Failures<OpenAiError>
    )
)]
pub(super) async fn create_response(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    arrival.serve(respond).await
}

async fn respond(arrival: Arrival) -> Result<HttpResponse, Stop> {
    let ResponsesRequest { request, echo } = ResponsesRequest::read(arrival.body.clone())?;
    let order = arrival.order(request).await?;
    order.cast_shadow();
    let builder = Builder::new(new_key(), unix_seconds(), &order.request().model, echo);
    if order.request().stream {
        return Ok(order.stream(|stream, bill| responses_stream::write(stream, bill, builder)).await?);
    }
    let write =
        |body: &[u8]| builder.whole(body, unix_seconds()).map(|response| String::from(Box::<str>::from(response)));
    let no_chat = || ApiError::new(ErrorCode::UpstreamError, "the answer is no chat completion");
    let write = |Completed { body, is_native, .. }: Completed<()>| match is_native {
        true => Ok(body),
        false => write(&body).map(Into::into).ok_or_else(no_chat),
    };
    Ok(order.whole(Builder::check, write).await?)
}

/// What the ids of one response end with.
pub(super) fn new_key() -> String {
    Uuid::new_v4().simple().to_string()
}

/// The time, as OpenAI's wire has it.
pub(super) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
