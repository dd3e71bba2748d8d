//! `POST /v1/completions`: OpenAI's older wire, forwarded as bytes, or as chat to providers that only chat.

use actix_web::HttpResponse;
use bytes::Bytes;
use vx11_chassis::ApiError;
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::sse::SseTextEvent;

use super::completions_stream::{self, Shape};
use super::failures::Failures;
use super::order::{Arrival, Stop};
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::domain::{answer, text_completion};

/// Text completion, in OpenAI's older wire.
///
/// A provider without text completions is asked for chat; then `prompt` must be one text, and `suffix`, `echo`,
/// `best_of` and `logprobs` are refused. Streams are as those of chat completions; with one of these, or a `prompt` that
/// is not one text, a stream that breaks is not finished elsewhere.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "openai",
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, description = "As the provider answered.",
            content((serde_json::Value = "application/json"), (SseTextEvent = "text/event-stream"))),
        Failures<OpenAiError>
    )
)]
pub(super) async fn create_completion(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    arrival.serve(respond).await
}

async fn respond(arrival: Arrival) -> Result<HttpResponse, Stop> {
    let request = ChatRequest::read_for(Operation::TextCompletion, arrival.body.clone())?;
    let order = arrival.order(request).await?;
    order.cast_shadow();
    if order.request().stream {
        return Ok(completions_stream::answer(&order, Shape::Text).await?);
    }
    let as_text = |body: Bytes| text_completion::from_completion(&body).unwrap_or(body);
    Ok(order.whole(answer::check, |answer| Ok(as_text(answer.body))).await?)
}
