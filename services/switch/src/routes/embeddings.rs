//! `POST /v1/embeddings`: OpenAI's wire in and out, forwarded as bytes, or translated for Gemini's.

use actix_web::HttpResponse;
use vx11_chassis::ApiError;
use vx11_contracts::openai::OpenAiError;

use super::failures::Failures;
use super::order::{Arrival, Stop};
use crate::domain::answer;
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;

/// Embeddings, in OpenAI's wire; what it does not know is passed on.
///
/// A provider of the kind `gemini` embeds texts, but not tokens. Where it does not say what was spent, `usage` is an
/// estimate.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
    tag = "openai",
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = serde_json::Value, description = "As the provider answered."),
        Failures<OpenAiError>
    )
)]
pub(super) async fn create_embedding(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    arrival.serve(respond).await
}

async fn respond(arrival: Arrival) -> Result<HttpResponse, Stop> {
    let request = ChatRequest::read_for(Operation::Embeddings, arrival.body.clone())?;
    let order = arrival.order(request).await?;
    Ok(order.whole(answer::embeddings, |answer| Ok(answer.body)).await?)
}
