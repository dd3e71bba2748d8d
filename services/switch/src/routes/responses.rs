//! `POST /v1/responses`: OpenAI's newer wire, answered by way of chat completions.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use actix_web::{HttpRequest, HttpResponse};
use uuid::Uuid;
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::openai::OpenAiError;

use super::billing::open_bill;
use super::way::Way;
use super::{passage, refusal, responses_stream, targets, wishes};
use crate::domain::failover::Answered;
use crate::domain::responses::{Builder, ResponsesRequest};
use crate::gateway::{Call, Gateway};

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
        (status = 404, body = OpenAiError, description = "Unknown model or provider."),
        (status = 502, body = OpenAiError, description = "No provider answered."),
        (status = 503, body = OpenAiError, description = "Every provider is failing; see Retry-After."),
        (status = 504, body = OpenAiError, description = "No provider answered in time."),
        (status = "default", body = OpenAiError)
    )
)]
pub(super) async fn create_response(
    gateway: Gateway,
    context: RequestContext,
    http: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let ResponsesRequest { mut chat, echo } = ResponsesRequest::read(&body.0)?;
    let wishes = wishes::read(&http)?;
    wishes::reroute(&http, &mut chat)?;
    let targets = targets::find(&gateway, &http, &chat)?;
    let passage = passage::read(&gateway, &http, &chat, &targets, &wishes)?;
    let bill = open_bill(&gateway, &http, &context, &chat, &targets, &passage, started).await?;
    let call = Call {
        request: &chat,
        targets: &targets,
        context: &context,
        wishes: &wishes,
        started,
        bill: &bill,
        passage: &passage,
    };
    let builder = Builder::new(Uuid::new_v4().simple().to_string(), unix_seconds(), &chat.model, echo);
    if chat.stream {
        return responses_stream::answer(&gateway, &call, builder).await;
    }
    match gateway.complete(&call, Builder::check).await {
        Ok(Answered { answer, tried }) => {
            let way = Way::of(&gateway, &call, &tried);
            let response = builder.whole(&answer.body, unix_seconds());
            let response =
                response.ok_or_else(|| ApiError::new(ErrorCode::UpstreamError, "the answer is no chat completion"))?;
            Ok(way.whole(answer.request_id.as_deref(), String::from(Box::<str>::from(response)).into()))
        }
        Err(unanswered) => refusal::openai(&unanswered, Way::of(&gateway, &call, &unanswered.tried)),
    }
}

/// The time, as OpenAI's wire has it.
pub(super) fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
