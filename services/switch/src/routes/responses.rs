//! `POST /v1/responses`: OpenAI's newer wire, answered by way of chat completions.

use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::HttpResponse;
use uuid::Uuid;
use vx11_chassis::ApiError;
use vx11_contracts::ErrorCode;
use vx11_contracts::openai::OpenAiError;

use super::failures::Failures;
use super::order::Arrival;
use super::responses_stream;
use crate::domain::responses::{Builder, ResponsesRequest};

/// A response, in OpenAI's Responses wire, from any provider that chats.
///
/// Nothing is stored: `previous_response_id`, `conversation`, `store: true`, `background: true` and stored prompts are
/// refused, and so are the tools that OpenAI runs itself. With `stream: true` the answer is `text/event-stream`, and its last
/// event is always one of `response.completed`, `response.incomplete` and `response.failed`.
#[utoipa::path(
    post,
    path = "/v1/responses",
    tag = "openai",
    params(("x-vx11-provider" = Option<String>, Header, description = "Ask this provider and no other.")),
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = serde_json::Value, description = "A response object, or its events."),
        (status = 400, body = OpenAiError, description = "A field is wrong or cannot be kept; `param` names it."),
        Failures<OpenAiError>
    )
)]
pub(super) async fn create_response(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    let ResponsesRequest { chat, echo } = ResponsesRequest::read(&arrival.body)?;
    let order = arrival.order(chat).await?;
    order.cast_shadow();
    let id = Uuid::new_v4().simple().to_string();
    let builder = Builder::new(id, unix_seconds(), &order.request().model, echo);
    if order.request().stream {
        return order.stream(|stream, bill| responses_stream::translate(stream, bill, builder)).await;
    }
    let write =
        |body: &[u8]| builder.whole(body, unix_seconds()).map(|response| String::from(Box::<str>::from(response)));
    let no_chat = || ApiError::new(ErrorCode::UpstreamError, "the answer is no chat completion");
    order.whole(Builder::check, |answer| write(&answer.body).map(Into::into).ok_or_else(no_chat)).await
}

/// The time, as OpenAI's wire has it.
pub(super) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
