//! `POST /v1/completions`: OpenAI's older wire, forwarded as bytes, or as chat to providers that only chat.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse};
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::openai::OpenAiError;

use super::billing::open_bill;
use super::completions_stream::{self, Wire};
use super::way::Way;
use super::{passage, refusal, targets, wishes};
use crate::domain::failover::Answered;
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::domain::{answer, text_completion};
use crate::gateway::{Call, Gateway};

/// Text completion, in OpenAI's older wire.
///
/// A provider without text completions is asked for chat; then `prompt` must be one text, and `suffix`, `echo`, `best_of`
/// and `logprobs` are refused. Streams are as those of chat completions.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "openai",
    params(("x-vx11-provider" = Option<String>, Header, description = "Ask this provider and no other.")),
    request_body(content = serde_json::Value, description = "As in OpenAI's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = serde_json::Value, description = "As the provider answered."),
        (status = 404, body = OpenAiError, description = "Unknown model or provider."),
        (status = 502, body = OpenAiError, description = "No provider answered."),
        (status = 503, body = OpenAiError, description = "Every provider is failing; see Retry-After."),
        (status = 504, body = OpenAiError, description = "No provider answered in time."),
        (status = "default", body = OpenAiError)
    )
)]
pub(super) async fn create_completion(
    gateway: Gateway,
    context: RequestContext,
    http: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let mut request = ChatRequest::read_for(Operation::TextCompletion, body.0)?;
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
    if request.stream {
        return completions_stream::answer(&gateway, &call, Wire::Text).await;
    }
    match gateway.complete(&call, answer::check).await {
        Ok(Answered { answer, tried }) => {
            let body = text_completion::from_completion(&answer.body).unwrap_or(answer.body);
            Ok(Way::of(&gateway, &call, &tried).whole(answer.request_id.as_deref(), body))
        }
        Err(unanswered) => refusal::openai(&unanswered, Way::of(&gateway, &call, &unanswered.tried)),
    }
}
