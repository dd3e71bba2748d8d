//! `POST /v1/chat/completions`: OpenAI's wire in and out, forwarded as bytes.

use std::time::Instant;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse};
use vx11_chassis::extract::Body;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::openai::OpenAiError;

use super::arrange::{Said, arrange};
use super::way::{Way, pinned_provider};
use super::{completions_stream, refusal, wishes};
use crate::domain::answer;
use crate::domain::failover::Unanswered;
use crate::domain::request::ChatRequest;
use crate::domain::routing::Target;
use crate::gateway::{Call, Gateway};

/// Chat completion, in OpenAI's wire; what it does not know is passed on.
///
/// `model` is a configured name, `provider/model`, or any name that a provider serves. With `stream: true` the answer is
/// `text/event-stream`; it ends with `data: [DONE]`, or with an `error` event when it could not be finished.
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
        (status = 404, body = OpenAiError, description = "Unknown model or provider."),
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
    if let Some(model) = wishes::model(&http)? {
        model.clone_into(&mut request.model);
    }
    let pinned = pinned_provider(&http);
    let targets = gateway.shared.routes.find(&request.model, pinned);
    let targets = targets.map_err(|error| refusal::no_route(error, &request.model, pinned))?;
    let said = Said { bytes: request.bytes(), tag: &|name| request.tag(name), session: &|| request.user() };
    let targets = arrange(&gateway, &http, &request.model, targets, said);
    let call = Call { request: &request, targets: &targets, context: &context, wishes: &wishes, started };
    gateway.cast_shadow(&call, &request.model);
    if request.stream {
        return match gateway.stream(&call).await {
            Ok(answered) => {
                let way = Way { gateway: &gateway, targets: &targets, tried: &answered.tried };
                Ok(completions_stream::respond(answered.answer, way))
            }
            Err(unanswered) => refuse(&gateway, &targets, &unanswered),
        };
    }
    match gateway.complete(&call, answer::check).await {
        Ok(answered) => {
            let mut response = HttpResponse::Ok();
            let way = Way { gateway: &gateway, targets: &targets, tried: &answered.tried };
            way.add_headers(&mut response, answered.answer.request_id.as_deref());
            Ok(response.insert_header((CONTENT_TYPE, "application/json")).body(answered.answer.body))
        }
        Err(unanswered) => refuse(&gateway, &targets, &unanswered),
    }
}

fn refuse(gateway: &Gateway, targets: &[Target], unanswered: &Unanswered) -> Result<HttpResponse, ApiError> {
    let Unanswered { tried, reason } = unanswered;
    let way = Way { gateway, targets, tried };
    refusal::passed_on(reason, way).ok_or_else(|| refusal::unanswered(reason, way))
}
