//! `POST /switch/chat`: a conversation in VX11's own words, answered by whichever provider can.

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use serde_json::{Map, Value};
use tracing::Instrument;
use vx11_chassis::context::is_valid_id;
use vx11_chassis::extract::{Json, parse};
use vx11_chassis::{ApiError, RequestContext, header_names};
use vx11_contracts::error::ErrorBody;
use vx11_contracts::intervention::Held;
use vx11_contracts::sse::SseEvent;
use vx11_contracts::switch::{SwitchChatRequest, SwitchChatResponse, SwitchFrame};

use super::arrange::{Said, arrange};
use super::billing::{open_bill, payer};
use super::held::{self, Holding, Pass, Shape, Touched};
use super::targets::priced;
use super::way::{Way, pinned_provider};
use super::{chat_stream, refusal, wishes};
use crate::accounts::Caller;
use crate::cache::Passage;
use crate::config::DEFAULT_MODEL;
use crate::domain::answer;
use crate::domain::failover::Unanswered;
use crate::domain::hold::{self, Content, Rules};
use crate::domain::request::{ChatRequest, MAX_MODEL};
use crate::domain::routing::Target;
use crate::domain::wishes::Wishes;
use crate::gateway::{Call, Gateway};

/// Answers a conversation.
///
/// Without a model the route `default` serves it; `provider` pins one provider, with no failover. With `stream: true`
/// the answer is `text/event-stream` of `SwitchFrame`s. Where a rule holds it for a person, the answer is 202, or the one
/// frame `held`, at once; a caller that can wait says so with `prefer: wait=N`.
#[utoipa::path(
    post,
    path = "/switch/chat",
    tag = "switch",
    request_body = SwitchChatRequest,
    responses(
        (status = 200, content((SwitchChatResponse = "application/json"), (SseEvent<SwitchFrame> = "text/event-stream"))),
        (status = 202, body = Held, description = "A rule holds it for a person; see Location."),
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
    let caller = Caller::of(&http);
    let wishes = Wishes { is_chat: true, ..wishes::read(&http, &context, &caller)? };
    if chat.correlation_id.is_empty() || *chat.correlation_id == *context.correlation_id {
        return Asked { gateway, context, chat, http, caller, wishes, started }.serve().await;
    }
    let span = tracing::info_span!("chat", correlation_id = chat.correlation_id);
    let context = context.with_correlation_id(&chat.correlation_id);
    Asked { gateway, context, chat, http, caller, wishes, started }.serve().instrument(span).await
}

/// A conversation that has come in.
struct Asked {
    gateway: Gateway,
    context: RequestContext,
    chat: SwitchChatRequest,
    http: HttpRequest,
    caller: Caller,
    wishes: Wishes,
    started: Instant,
}

impl Asked {
    async fn serve(self) -> Result<HttpResponse, ApiError> {
        match answer(&self, None).await? {
            Outcome::Answered(response) => Ok(response),
            Outcome::Held(holding) => {
                let go_on = move |pass| Box::pin(self.go_on(pass)) as LocalBoxFuture<'static, _>;
                // In a box: who is not held carries nothing of it.
                Box::pin(held::serve(*holding, Box::new(go_on))).await
            }
        }
    }

    /// Answers what was approved, under the configuration that is in force by now.
    async fn go_on(mut self, pass: Pass) -> Result<HttpResponse, ApiError> {
        (self.gateway, self.caller) = held::current(&self.http).await?;
        if let Some(edited) = &pass.edited {
            self.chat = self.edited(edited)?;
            check(&self.chat)?;
        }
        self.started = Instant::now();
        match answer(&self, Some(Box::new(pass))).await? {
            Outcome::Answered(response) => Ok(response),
            Outcome::Held(_) => Err(ApiError::internal("a request was held twice")),
        }
    }

    /// The chat that a pilot has made of it. Which conversation it belongs to is not the pilot's to say.
    fn edited(&self, body: &[u8]) -> Result<SwitchChatRequest, ApiError> {
        let mut edited: Map<String, Value> = parse(body)?;
        for (name, id) in [("session_id", &self.chat.session_id), ("correlation_id", &self.chat.correlation_id)] {
            edited.insert(name.to_owned(), id.as_str().into());
        }
        parse(Value::Object(edited).to_string().as_bytes())
    }

    /// How it waits, where one of the `rules` holds it.
    fn held(
        &self,
        rules: &Rules,
        pass: Option<&Pass>,
        request: &ChatRequest,
        targets: &[Target],
    ) -> Result<Option<Box<Holding>>, ApiError> {
        let Self { gateway, context, chat, http, caller, wishes, .. } = self;
        let touched = Touched {
            gateway,
            http,
            caller,
            context,
            wishes,
            request,
            targets,
            tag: &|name| chat.metadata.get(name)?.as_str().map(str::to_owned),
            content: &|| hold::parse(request.body()).map(|body| Content::of(&body)),
        };
        let Some(rule) = held::rule(rules, &touched, pass)? else { return Ok(None) };
        let said = serde_json::to_vec(chat).map_err(ApiError::internal)?;
        let mut body: Map<String, Value> = parse(&said)?;
        // It is another one when the same is asked again.
        body.remove("correlation_id");
        Ok(Some(Box::new(Holding::new(&touched, rule, Shape::Switch, body, said.len()))))
    }
}

/// What comes of a conversation.
enum Outcome {
    Answered(HttpResponse),
    /// A person looks at it first.
    Held(Box<Holding>),
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

async fn answer(asked: &Asked, pass: Option<Box<Pass>>) -> Result<Outcome, ApiError> {
    let Asked { gateway, context, chat, http, caller, wishes, started } = asked;
    let started = *started;
    let pinned = chat.provider.as_deref().or_else(|| pinned_provider(http));
    let model = chat.model.as_deref().unwrap_or(DEFAULT_MODEL);
    let targets = match &chat.model {
        Some(model) => gateway.shared.routes.find(model, pinned),
        None => gateway.shared.routes.find_default(DEFAULT_MODEL, pinned),
    };
    let targets = targets.map_err(|error| refusal::no_route(error, caller, model, pinned))?;
    let request = ChatRequest::compose(model, &chat.messages, chat.stream).map_err(ApiError::internal)?;
    let tag = |name: &str| chat.metadata.get(name)?.as_str().map(str::to_owned);
    let session = || Some(chat.session_id.clone()).filter(|session| !session.is_empty());
    let said = Said { bytes: request.bytes(), stream: chat.stream, tag: &tag, session: &session, can: &|_| true };
    let targets = arrange(gateway, http, caller, model, pinned, targets, said);
    let payer = payer(gateway, http, caller).await?;
    let targets: &[Target] = &priced(gateway, &payer, targets)?;
    if let Some(rules) = &gateway.shared.holds
        && let Some(holding) = asked.held(rules, pass.as_deref(), &request, targets)?
    {
        return Ok(Outcome::Held(holding));
    }
    // A conversation is between its two sides, and operator repeats what it means to repeat.
    let passage = &Passage::bypass();
    let held_by = pass.as_ref().map(|pass| pass.approval.id());
    let bill = open_bill(gateway, payer, context, &request, targets, passage, started, held_by).await?;
    let approval = pass.as_ref().map(|pass| &pass.approval);
    let call = Call { request: &request, targets, context, wishes, started, bill: &bill, passage, approval };
    let refuse = |Unanswered { tried, reason }: Unanswered| {
        let way = Way { gateway, targets, tried: &tried, started, bill: &bill, passage };
        match pass.as_ref().and_then(|pass| pass.untaken()) {
            Some(error) => Err(error),
            None => Ok(Outcome::Answered(refusal::unanswered(&reason, way))),
        }
    };
    if approval.is_none() {
        gateway.cast_shadow(&call, model);
    }
    if chat.stream {
        let answered = match gateway.stream(&call).await {
            Ok(answered) => answered,
            Err(unanswered) => return refuse(unanswered),
        };
        let way = Way { gateway, targets, tried: &answered.tried, started, bill: &bill, passage };
        return Ok(Outcome::Answered(chat_stream::respond(answered.answer, way, draft(way), context)));
    }
    let answered = match gateway.complete(&call, answer::reply).await {
        Ok(answered) => answered,
        Err(unanswered) => return refuse(unanswered),
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
    Ok(Outcome::Answered(way.tell(response.json(whole), answered.answer.request_id.as_deref())))
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
