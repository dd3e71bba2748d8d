//! `POST /switch/chat`: a conversation in VX11's own words, answered by whichever provider can.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse};
use tracing::Instrument;
use vx11_chassis::context::is_valid_id;
use vx11_chassis::extract::Json;
use vx11_chassis::{ApiError, RequestContext, header_names};
use vx11_contracts::error::ErrorBody;
use vx11_contracts::switch::{SwitchChatRequest, SwitchChatResponse};

use super::arrange::{Said, arrange};
use super::billing::open_bill;
use super::way::{Way, pinned_provider};
use super::{chat_stream, refusal, wishes};
use crate::accounts::Caller;
use crate::cache::Passage;
use crate::config::DEFAULT_MODEL;
use crate::domain::answer;
use crate::domain::failover::Unanswered;
use crate::domain::request::{ChatRequest, MAX_MODEL};
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::gateway::{Call, Gateway};

/// Answers a conversation.
///
/// Without a model the route `default` serves it; `provider` pins one provider, with no failover. With `stream: true`
/// the answer is `text/event-stream` of `SwitchFrame`s.
#[utoipa::path(
    post,
    path = "/switch/chat",
    tag = "switch",
    request_body = SwitchChatRequest,
    responses(
        (status = 200, body = SwitchChatResponse),
        (status = 404, body = ErrorBody, description = "Unknown provider or model."),
        (status = 429, body = ErrorBody, description = "Every provider is at its limit."),
        (status = 502, body = ErrorBody, description = "No provider answered."),
        (status = 503, body = ErrorBody, description = "Every provider is failing; see Retry-After."),
        (status = 504, body = ErrorBody, description = "No provider answered in time."),
        (status = "default", body = ErrorBody)
    )
)]
pub(super) async fn chat(
    gateway: Gateway,
    context: RequestContext,
    http: HttpRequest,
    Json(chat): Json<SwitchChatRequest>,
) -> Result<HttpResponse, ApiError> {
    let started = Instant::now();
    check(&chat)?;
    let wishes = Wishes { is_chat: true, ..wishes::read(&http, &context)? };
    if chat.correlation_id.is_empty() || *chat.correlation_id == *context.correlation_id {
        return answer(&gateway, &context, &chat, &http, &wishes, started).await;
    }
    let span = tracing::info_span!("chat", correlation_id = chat.correlation_id);
    let context = context.with_correlation_id(&chat.correlation_id);
    answer(&gateway, &context, &chat, &http, &wishes, started).instrument(span).await
}

/// Checks what the types do not.
fn check(chat: &SwitchChatRequest) -> Result<(), ApiError> {
    if chat.messages.is_empty() {
        return Err(ApiError::invalid_field("messages", "must hold at least one message"));
    }
    if chat.model.as_ref().is_some_and(|model| model.len() > MAX_MODEL) {
        return Err(ApiError::invalid_field("model", format!("must have at most {MAX_MODEL} bytes")));
    }
    if !chat.correlation_id.is_empty() && !is_valid_id(&chat.correlation_id) {
        return Err(ApiError::invalid_field("correlation_id", "must be 1 to 128 visible ASCII characters"));
    }
    Ok(())
}

async fn answer(
    gateway: &Gateway,
    context: &RequestContext,
    chat: &SwitchChatRequest,
    http: &HttpRequest,
    wishes: &Wishes,
    started: Instant,
) -> Result<HttpResponse, ApiError> {
    let pinned = chat.provider.as_deref().or_else(|| pinned_provider(http));
    let model = chat.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let targets = match &chat.model {
        Some(model) => gateway.shared.routes.find(model, pinned),
        None => gateway.shared.routes.find_default(DEFAULT_MODEL, pinned),
    };
    let targets = targets.map_err(|error| refusal::no_route(error, &Caller::of(http), model, pinned))?;
    let request = ChatRequest::compose(model, &chat.messages, chat.stream).map_err(ApiError::internal)?;
    let tag = |name: &str| chat.metadata.get(name)?.as_str().map(str::to_owned);
    let session = || Some(chat.session_id.clone()).filter(|session| !session.is_empty());
    let said = Said { bytes: request.bytes(), stream: chat.stream, tag: &tag, session: &session, can: &|_| true };
    let targets: &[Target] = &arrange(gateway, http, model, pinned, targets, said);
    // A conversation is between its two sides, and operator repeats what it means to repeat.
    let passage = &Passage::bypass();
    let bill = open_bill(gateway, http, context, &request, targets, passage, started).await?;
    let call = Call { request: &request, targets, context, wishes, started, bill: &bill, passage };
    let refuse = |Unanswered { tried, reason }: Unanswered| {
        refusal::unanswered(&reason, Way { gateway, targets, tried: &tried, started, bill: &bill, passage })
    };
    gateway.cast_shadow(&call, model);
    if chat.stream {
        let answered = match gateway.stream(&call).await {
            Ok(answered) => answered,
            Err(unanswered) => return Ok(refuse(unanswered)),
        };
        let way = Way { gateway, targets, tried: &answered.tried, started, bill: &bill, passage };
        return Ok(chat_stream::respond(answered.answer, way, draft(way), context));
    }
    let answered = match gateway.complete(&call, answer::reply).await {
        Ok(answered) => answered,
        Err(unanswered) => return Ok(refuse(unanswered)),
    };
    let way = Way { gateway, targets, tried: &answered.tried, started, bill: &bill, passage };
    let mut whole = draft(way);
    let read = answered.answer.read;
    whole.reply = read.answer.content;
    whole.reasoning = read.answer.reasoning;
    whole.usage = read.usage.map(|reported| reported.usage);
    if let Some(model) = read.answer.model {
        whole.engine_used = model;
    }
    whole.latency_ms = started.elapsed().as_millis() as u64;
    let mut response = HttpResponse::Ok();
    response.insert_header((header_names::COST_USD, bill.cost().to_string()));
    Ok(way.tell(response.json(whole), answered.answer.request_id.as_deref()))
}

/// The answer as far as the way to it tells.
fn draft(way: Way<'_>) -> SwitchChatResponse {
    let (provider, model) = way.last().unwrap_or_default();
    SwitchChatResponse {
        status: "ok".to_owned(),
        reply: String::new(),
        engine_used: model.to_owned(),
        latency_ms: 0,
        provider: provider.to_owned(),
        fallback_reason: way.fallback_reason(),
        reasoning: None,
        usage: None,
        attempts: way.attempts(),
    }
}
