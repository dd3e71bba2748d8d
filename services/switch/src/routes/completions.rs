//! `POST /v1/chat/completions`: OpenAI's wire in and out, forwarded as bytes.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse};
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::openai::OpenAiError;

use super::billing::open_bill;
use super::completions_stream::{self, Wire};
use super::way::Way;
use super::{passage, refusal, targets, wishes};
use crate::domain::answer;
use crate::domain::failover::Answered;
use crate::domain::request::ChatRequest;
use crate::gateway::{Call, Gateway};

/// Chat completion, in OpenAI's wire; what it does not know is passed on.
///
/// `model` is a configured name, `provider/model`, or any name that a provider serves. With `stream: true` the answer is
/// `text/event-stream`; it ends with `data: [DONE]`, or with an `error` event when it could not be finished. A stream that
/// breaks is finished by the next target where that can be done: the chunk with the `finish_reason` then has a field `vx11`
/// (`provider`, `model`, `rescued`), and the last chunks name the model that finished it.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "openai",
    params(
        ("x-vx11-provider" = Option<String>, Header, description = "Ask this provider and no other."),
        ("x-vx11-model" = Option<String>, Header, description = "Route by this model in place of the body's."),
        ("x-vx11-fallback" = Option<String>, Header, description = "`off`: ask nobody but the first choice."),
        ("x-vx11-priority" = Option<String>, Header, description = "`interactive`, `normal` or `batch`."),
        ("x-vx11-session-id" = Option<String>, Header, description = "The conversation, for sticky routes."),
        ("x-vx11-timeout-ms" = Option<u64>, Header, description = "Longest time for everything, a stream included."),
        ("x-vx11-ttft-timeout-ms" = Option<u64>, Header, description = "Longest wait for a stream's first event.")
    ),
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = serde_json::Value, description = "As the provider answered."),
        (status = 403, body = OpenAiError, description = "The key may not use the model."),
        (status = 404, body = OpenAiError, description = "Unknown model or provider."),
        (status = 429, body = OpenAiError, description = "A limit or budget of the key, its team or its organisation is reached; see Retry-After."),
        (status = 502, body = OpenAiError, description = "No provider answered."),
        (status = 503, body = OpenAiError, description = "Every provider is failing; see Retry-After."),
        (status = 504, body = OpenAiError, description = "No provider answered in time."),
        (status = "default", body = OpenAiError)
    )
)]
pub(super) async fn create_chat_completion(
    gateway: Gateway,
    context: RequestContext,
    http: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let mut request = ChatRequest::read(body.0)?;
    let wishes = wishes::read(&http)?;
    wishes::reroute(&http, &mut request)?;
    let targets = targets::find(&gateway, &http, &request)?;
    let passage = passage::read(&gateway, &http, &request, &targets, &wishes)?;
    let bill = open_bill(&gateway, &http, &context, &request, &targets, &passage, started).await?;
    let call = Call {
        request: &request,
        targets: &targets,
        context: &context,
        wishes: &wishes,
        started,
        bill: &bill,
        passage: &passage,
    };
    if !passage.is_kept() {
        gateway.cast_shadow(&call, &request.model);
    }
    if request.stream {
        return completions_stream::answer(&gateway, &call, Wire::Chat).await;
    }
    match gateway.complete(&call, answer::check).await {
        Ok(Answered { answer, tried }) => {
            Ok(Way::of(&gateway, &call, &tried).whole(answer.request_id.as_deref(), answer.body))
        }
        Err(unanswered) => refusal::openai(&unanswered, Way::of(&gateway, &call, &unanswered.tried)),
    }
}
