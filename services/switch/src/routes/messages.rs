//! `POST /v1/messages`: Anthropic's wire, answered by a provider of any kind.

use actix_web::HttpResponse;
use serde_json::Value;
use vx11_chassis::ApiError;
use vx11_contracts::anthropic::{AnthropicError, TokenCount};
use vx11_contracts::sse::SseTextEvent;

use super::failures::Failures;
use super::messages_stream;
use super::order::{Arrival, Stop};
use crate::domain::answer::{self, Read};
use crate::domain::request::ChatRequest;
use crate::gateway::Completed;
use crate::providers::anthropic::{BETA, VERSION};
use crate::wire::anthropic::inbound;

/// A message, in Anthropic's wire.
///
/// `model` is a configured name, `provider/model`, or any name that a provider serves. With `stream: true` the answer
/// is `text/event-stream` of Anthropic's named events; it ends with `message_stop`, or with `error` when it could not
/// be finished. A provider of the kind `anthropic` gets the body as it came. A stream that breaks is finished by the
/// next target where that can be done: its `message_delta` then has a field `vx11` (`provider`, `model`, `rescued`).
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "anthropic",
    request_body(content = serde_json::Value, description = "As in Anthropic's API reference, up to 8 MiB."),
    responses(
        (status = 200, description = "A message.",
            content((serde_json::Value = "application/json"), (SseTextEvent = "text/event-stream"))),
        Failures<AnthropicError>
    )
)]
pub(super) async fn create_message(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    arrival.serve(respond).await
}

async fn respond(arrival: Arrival) -> Result<HttpResponse, Stop> {
    let request = request(&arrival)?;
    let order = arrival.order(request).await?;
    order.cast_shadow();
    if order.request().stream {
        return Ok(order.stream(messages_stream::write).await?);
    }
    let write = |Completed { body, is_native, read, estimate, .. }: Completed<Value>| match (is_native, read.usage) {
        (true, _) => body,
        (false, Some(_)) => read.answer.to_string().into(),
        // This wire has no message without it.
        (false, None) => {
            let estimate = estimate.unwrap_or_else(|| order.estimate(answer::written(&body)));
            inbound::with_usage(read.answer, estimate).to_string().into()
        }
    };
    Ok(order.whole(read, |answer| Ok(write(answer))).await?)
}

/// The tokens of a prompt: counted by a provider of the kind `anthropic`, else in a vocabulary, else estimated.
///
/// The provider is asked where the model leads to one of that kind and no rule would hold the request; the vocabularies
/// are those of OpenAI's models.
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "anthropic",
    request_body(content = serde_json::Value, description = "As in Anthropic's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = TokenCount),
        (status = 404, body = AnthropicError, description = "Unknown model or provider."),
        (status = "default", body = AnthropicError)
    )
)]
pub(super) async fn count_tokens(arrival: Arrival) -> Result<HttpResponse, ApiError> {
    let request = request(&arrival)?;
    let order = arrival.order_of_nothing(request).await?;
    match order.count_tokens().await {
        Ok(input_tokens) => Ok(HttpResponse::Ok().json(TokenCount { input_tokens })),
        Err(unanswered) => Ok(order.refuse(&unanswered)),
    }
}

fn request(arrival: &Arrival) -> Result<ChatRequest, ApiError> {
    let said = arrival.http.headers();
    let version = said.get(VERSION).and_then(|version| version.to_str().ok()).map(str::to_owned);
    // A list, which may come in several lines.
    let beta = said.get_all(BETA).filter_map(|beta| beta.to_str().ok()).map(str::to_owned);
    let beta = beta.reduce(|all, one| format!("{all},{one}"));
    let headers =
        [(VERSION, version), (BETA, beta)].into_iter().filter_map(|(name, said)| Some((name, said?))).collect();
    Ok(ChatRequest::read_messages(arrival.body.clone(), headers)?)
}

/// Reads a completion as a message.
fn read(completion: &[u8]) -> Option<Read<Value>> {
    let Read { usage, is_given_up, .. } = answer::check(completion)?;
    let answer = inbound::answer(&serde_json::from_slice(completion).ok()?).ok()?;
    Some(Read { answer, usage, is_given_up })
}
