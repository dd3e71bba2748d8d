//! `POST /v1/embeddings`: OpenAI's wire in and out, forwarded as bytes.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse};
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::openai::OpenAiError;

use super::billing::open_bill;
use super::way::Way;
use super::{passage, refusal, targets, wishes};
use crate::domain::answer;
use crate::domain::failover::Answered;
use crate::domain::operation::Operation;
use crate::domain::request::ChatRequest;
use crate::gateway::{Call, Gateway};

/// Embeddings, in OpenAI's wire; what it does not know is passed on.
#[utoipa::path(
    post,
    path = "/v1/embeddings",
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
pub(super) async fn create_embedding(
    gateway: Gateway,
    context: RequestContext,
    http: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let mut request = ChatRequest::read_for(Operation::Embeddings, body.0)?;
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
    match gateway.complete(&call, answer::embeddings).await {
        Ok(Answered { answer, tried }) => {
            Ok(Way::of(&gateway, &call, &tried).whole(answer.request_id.as_deref(), answer.body))
        }
        Err(unanswered) => refusal::openai(&unanswered, Way::of(&gateway, &call, &unanswered.tried)),
    }
}
