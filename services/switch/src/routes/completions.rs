//! `POST /v1/chat/completions`: OpenAI's wire in and out, forwarded as bytes.

use actix_web::HttpResponse;
use vx11_chassis::ApiError;
use vx11_contracts::openai::OpenAiError;
use vx11_contracts::sse::SseTextEvent;

use super::completions_stream::{self, Shape};
use super::failures::Failures;
use super::order::{Arrival, Stop};
use crate::domain::answer;
use crate::domain::request::ChatRequest;

/// Chat completion, in OpenAI's wire; what it does not know is passed on.
///
/// `model` is a configured name, `provider/model`, or any name that a provider serves. With `stream: true` the answer
/// is `text/event-stream`; it ends with `data: [DONE]`, or with an `error` event when it could not be finished. A
/// stream that breaks is finished by the next target where that can be done: the chunk with the `finish_reason` then
/// has a field `vx11` (`provider`, `model`, `rescued`), and the last chunks name the model that finished it.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, description = "As the provider answered.",
            content((serde_json::Value = "application/json"), (SseTextEvent = "text/event-stream"))),
        Failures<OpenAiError>
    )
)]
pub(super) async fn create_chat_completion(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    arrival.serve(respond).await
}

async fn respond(arrival: Arrival) -> Result<HttpResponse, Stop> {
    let request = ChatRequest::read(arrival.body.clone())?;
    let order = arrival.order(request).await?;
    order.cast_shadow();
    if order.request().stream {
        return Ok(completions_stream::answer(&order, Shape::Chat).await?);
    }
    Ok(order.whole(answer::check, |answer| Ok(answer.body)).await?)
}
