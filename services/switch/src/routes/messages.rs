//! `POST /v1/messages`: Anthropic's wire, answered by a provider of any kind.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::web::ThinData;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::Value;
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::anthropic::{AnthropicError, TokenCount};

use super::way::{Way, pinned_provider};
use super::{messages_stream, refusal};
use crate::domain::answer::{self, Read};
use crate::domain::failover::{Reason, Refusal, Unanswered};
use crate::domain::request::ChatRequest;
use crate::domain::routing::Target;
use crate::gateway::{Call, Gateway};
use crate::providers::anthropic::{BETA, VERSION};
use crate::wire::anthropic::inbound;

/// A message, in Anthropic's wire.
///
/// `model` is a configured name, `provider/model`, or any name that a provider serves. With `stream: true` the answer is
/// `text/event-stream` of Anthropic's named events; it ends with `message_stop`, or with `error` when it could not be
/// finished. A provider of the kind `anthropic` gets the body as it came.
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "anthropic",
    params(("x-vx11-provider" = Option<String>, Header, description = "Ask this provider and no other.")),
    request_body(content = serde_json::Value, description = "As in Anthropic's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = serde_json::Value, description = "A message."),
        (status = 404, body = AnthropicError, description = "Unknown model or provider."),
        (status = 502, body = AnthropicError, description = "No provider answered."),
        (status = 503, body = AnthropicError, description = "Every provider is failing; see Retry-After."),
        (status = 504, body = AnthropicError, description = "No provider answered in time."),
        (status = "default", body = AnthropicError)
    )
)]
pub(super) async fn create_message(
    gateway: ThinData<Gateway>,
    context: RequestContext,
    http: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let (request, targets) = route(&gateway, &http, body)?;
    let call = Call { request: &request, targets: &targets, context: &context, started };
    if request.stream {
        return match gateway.stream(&call).await {
            Ok(answered) => {
                let way = Way { gateway: &gateway, targets: &targets, tried: &answered.tried };
                Ok(messages_stream::respond(answered.answer, way))
            }
            Err(unanswered) => refuse(&gateway, &targets, &unanswered),
        };
    }
    match gateway.complete(&call, read).await {
        Ok(answered) => {
            let mut response = HttpResponse::Ok();
            let way = Way { gateway: &gateway, targets: &targets, tried: &answered.tried };
            let completed = answered.answer;
            way.add_headers(&mut response, completed.request_id.as_deref());
            response.insert_header((CONTENT_TYPE, "application/json"));
            Ok(if completed.is_native {
                response.body(completed.body)
            } else {
                response.body(completed.read.answer.to_string())
            })
        }
        Err(unanswered) => refuse(&gateway, &targets, &unanswered),
    }
}

/// The tokens of a prompt: counted by a provider of the kind `anthropic` where the model leads to one, else estimated.
#[utoipa::path(
    post,
    path = "/v1/messages/count_tokens",
    tag = "anthropic",
    params(("x-vx11-provider" = Option<String>, Header, description = "Ask this provider and no other.")),
    request_body(content = serde_json::Value, description = "As in Anthropic's API reference, up to 8 MiB."),
    responses(
        (status = 200, body = TokenCount),
        (status = 404, body = AnthropicError, description = "Unknown model or provider."),
        (status = "default", body = AnthropicError)
    )
)]
pub(super) async fn count_tokens(
    gateway: ThinData<Gateway>,
    context: RequestContext,
    http: HttpRequest,
    body: Body,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    let (request, targets) = route(&gateway, &http, body)?;
    let call = Call { request: &request, targets: &targets, context: &context, started };
    match gateway.count_tokens(&call).await {
        Ok(input_tokens) => Ok(HttpResponse::Ok().json(TokenCount { input_tokens })),
        Err(refusal) => {
            let way = Way { gateway: &gateway, targets: &targets, tried: &[] };
            let unanswered = Reason::Refused(refusal);
            passed_on(&unanswered, way).ok_or_else(|| refusal::unanswered(&unanswered, way))
        }
    }
}

/// Reads a request, and finds out where it may go.
fn route(gateway: &Gateway, http: &HttpRequest, body: Body) -> Result<(ChatRequest, Arc<[Target]>), ApiError> {
    let header = |name: &'static str| Some((name, http.headers().get(name)?.to_str().ok()?.to_owned()));
    let headers = [VERSION, BETA].into_iter().filter_map(header).collect();
    let request = ChatRequest::read_messages(body.0, headers)?;
    let pinned = pinned_provider(http);
    let targets = gateway.shared.routes.find(&request.model, pinned);
    let targets = targets.map_err(|error| refusal::no_route(error, &request.model, pinned))?;
    Ok((request, targets))
}

/// Reads a completion as a message.
fn read(completion: &[u8]) -> Option<Read<Value>> {
    let usage = answer::check(completion)?.usage;
    let answer = inbound::answer(&serde_json::from_slice(completion).ok()?).ok()?;
    Some(Read { answer, usage })
}

fn refuse(gateway: &Gateway, targets: &[Target], unanswered: &Unanswered) -> Result<HttpResponse, ApiError> {
    let Unanswered { tried, reason } = unanswered;
    let way = Way { gateway, targets, tried };
    passed_on(reason, way).ok_or_else(|| refusal::unanswered(reason, way))
}

/// The provider's own error in Anthropic's shape, where there is one that means to the caller what it meant to the gateway.
fn passed_on(reason: &Reason, way: Way<'_>) -> Option<HttpResponse> {
    let (Reason::Refused(refusal) | Reason::ProviderError(refusal)) = reason else { return None };
    let Refusal { status, body, retry_after, request_id } = &**refusal;
    let body = inbound::error(*status, body.as_deref()?)?;
    let mut response = HttpResponseBuilder::new(StatusCode::from_u16(*status).ok()?);
    way.add_headers(&mut response, request_id.as_deref());
    if let Some(retry_after) = retry_after.as_deref().and_then(|value| HeaderValue::from_str(value).ok()) {
        response.insert_header((RETRY_AFTER, retry_after));
    }
    Some(response.json(body))
}
