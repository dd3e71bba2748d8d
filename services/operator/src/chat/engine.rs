//! Who answers a question: the switch, or madre when the switch does not.

use std::time::Duration;

use http::HeaderValue;
use serde_json::{Map, Value};
use vx11_chassis::client::Accepted;
use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::chat::{ChatProvider, ChatStatus, Usage};
use vx11_contracts::intervention::Held;
use vx11_contracts::madre::{MadreChatRequest, MadreChatResponse};
use vx11_contracts::switch::{Attempt, Message, Role, SwitchChatRequest, SwitchChatResponse};

use super::Provider;
use crate::clients::switch::SwitchError;
use crate::clients::{CallHeaders, Limit, Madre, Switch};
use crate::metrics::Metrics;

/// Something to answer.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// What was said.
    pub(crate) message: String,
    /// Earlier questions and answers, oldest first.
    pub(crate) history: Vec<(String, String)>,
    /// The conversation.
    pub(crate) session_id: String,
    /// Facts for the engine.
    pub(crate) context: Map<String, Value>,
    /// Facts for the trail.
    pub(crate) metadata: Map<String, Value>,
    /// Who is to answer.
    pub(crate) provider: Provider,
    /// The organisation that asks, where it is to be said.
    pub(crate) org: Option<HeaderValue>,
    /// Who in it asks.
    pub(crate) subject: Option<HeaderValue>,
    /// The intervention by which a person has approved it.
    pub(crate) intervention: Option<HeaderValue>,
}

impl Question {
    /// What calls for it say of whom they are for.
    pub(super) fn on_behalf(&self) -> CallHeaders<'_> {
        CallHeaders { org: self.org.as_ref(), subject: self.subject.as_ref(), intervention: self.intervention.as_ref() }
    }
}

/// What comes of a question.
#[derive(Debug)]
pub(crate) enum Reply<A> {
    /// It is answered.
    Answer(A),
    /// A rule of the gateway holds it for a person.
    Held(Held),
}

/// What was answered, and by whom; the fields are those of the contracts' `ChatResponse`.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) response: String,
    pub(crate) reasoning: Option<String>,
    pub(crate) model_used: String,
    pub(crate) provider: ChatProvider,
    pub(crate) status: ChatStatus,
    pub(crate) degraded: bool,
    pub(crate) fallback_source: Option<String>,
    pub(crate) usage: Option<Usage>,
    pub(crate) plan_id: Option<String>,
    pub(crate) confirm_token: Option<String>,
    /// The provider calls that were made for it.
    pub(crate) attempts: Vec<Attempt>,
}

/// The two that can answer. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    /// Asked first.
    pub(crate) switch: Switch,
    /// Asked when the switch does not answer.
    pub(crate) madre: Madre,
    /// Counts fallbacks.
    pub(crate) metrics: Metrics,
    /// Longest wait for the switch.
    pub(crate) switch_timeout: Duration,
    /// Longest wait for madre, and what is kept for it of a caller's deadline.
    pub(crate) madre_timeout: Duration,
}

impl Engine {
    /// Answers `question`, from the switch or else from madre.
    ///
    /// # Errors
    /// `unknown_provider` or `model_not_found` when the caller named what does not exist, `service_unavailable` when
    /// nobody answers, `deadline_exceeded` when the caller's deadline passes first.
    pub(crate) async fn answer(
        &self,
        question: &Question,
        context: &RequestContext,
    ) -> Result<Reply<Answer>, ApiError> {
        if question.provider == Provider::Madre {
            tracing::info!(route = "madre", "chat routed");
            return self.ask_madre(question, context, None).await.map(Reply::Answer);
        }
        tracing::info!(route = "switch", "chat routed");
        let request = switch_request(question, context, false);
        let limit = self.switch_limit(context);
        match self.switch.chat(&request, context, question.on_behalf(), limit).await {
            Ok(Accepted::Answer(answer)) => Ok(Reply::Answer(from_switch(answer))),
            Ok(Accepted::Later(held)) => Ok(Reply::Held(held)),
            Err(error) => self.fall_back(question, context, &error).await.map(Reply::Answer),
        }
    }

    /// Answers from madre what the switch did not.
    ///
    /// # Errors
    /// As [`Engine::answer`].
    pub(crate) async fn fall_back(
        &self,
        question: &Question,
        context: &RequestContext,
        error: &SwitchError,
    ) -> Result<Answer, ApiError> {
        let is_approved = question.intervention.is_some();
        match error.is_final().or_else(|| error.body().filter(|_| is_approved)) {
            Some(body) => Err(ApiError::from(body.clone())),
            None => self.fall_back_because(question, context, error.reason()).await,
        }
    }

    /// Answers from madre, for `reason`.
    ///
    /// # Errors
    /// As [`Engine::answer`].
    pub(crate) async fn fall_back_because(
        &self,
        question: &Question,
        context: &RequestContext,
        reason: String,
    ) -> Result<Answer, ApiError> {
        if question.intervention.is_some() {
            // It may have been edited, and only the switch knows into what.
            let detail = "the switch did not answer, and nobody else answers what a person has approved";
            return Err(ApiError::new(ErrorCode::ServiceUnavailable, detail).with_cause(reason));
        }
        self.metrics.fell_back(&reason);
        tracing::warn!(reason, "chat falls back to madre");
        self.ask_madre(question, context, Some(reason)).await
    }

    async fn ask_madre(
        &self,
        question: &Question,
        context: &RequestContext,
        fallback_source: Option<String>,
    ) -> Result<Answer, ApiError> {
        let limit = Limit::within(context, self.madre_timeout);
        let request = MadreChatRequest {
            message: question.message.clone(),
            session_id: Some(question.session_id.clone()),
            correlation_id: Some(context.correlation_id.to_string()),
            context: question.context.clone(),
        };
        let on_behalf = CallHeaders { intervention: None, ..question.on_behalf() };
        match self.madre.chat(&request, context, on_behalf, limit).await {
            Ok(answer) => Ok(from_madre(answer, fallback_source)),
            Err(error) => {
                let expired = context.deadline.is_some_and(|deadline| deadline.is_expired());
                let code = if expired { ErrorCode::DeadlineExceeded } else { ErrorCode::ServiceUnavailable };
                let switch = fallback_source.unwrap_or_else(|| "not asked".to_owned());
                Err(ApiError::new(code, "neither a provider nor madre could answer")
                    .with_cause(format!("switch: {switch}; madre: {error}")))
            }
        }
    }

    /// How long the switch may take: its own limit, less what madre needs of the caller's deadline.
    pub(crate) fn switch_limit(&self, context: &RequestContext) -> Limit {
        Limit::new(self.before_madre(context).unwrap_or(self.switch_timeout), self.switch_timeout)
    }

    /// What the caller's deadline leaves before it is madre's turn.
    pub(super) fn before_madre(&self, context: &RequestContext) -> Option<Duration> {
        let remaining = context.deadline?.remaining();
        Some(remaining.saturating_sub(self.madre_timeout.min(remaining / 5)))
    }
}

/// The question as the switch takes it.
pub(super) fn switch_request(question: &Question, context: &RequestContext, stream: bool) -> SwitchChatRequest {
    let mut messages = Vec::with_capacity(question.history.len() * 2 + 1);
    for (asked, answered) in &question.history {
        messages.push(Message { role: Role::User, content: asked.clone() });
        messages.push(Message { role: Role::Assistant, content: answered.clone() });
    }
    messages.push(Message { role: Role::User, content: question.message.clone() });
    SwitchChatRequest {
        messages,
        session_id: question.session_id.clone(),
        correlation_id: context.correlation_id.to_string(),
        metadata: question.metadata.clone(),
        provider: match &question.provider {
            Provider::Named(name) => Some(name.clone()),
            Provider::Any | Provider::Madre => None,
        },
        model: None,
        stream,
    }
}

/// What the switch answered, in our words. A failover among its providers is its daily work, not a degradation.
pub(super) fn from_switch(answer: SwitchChatResponse) -> Answer {
    Answer {
        response: answer.reply,
        reasoning: answer.reasoning,
        model_used: answer.engine_used,
        provider: ChatProvider::Switch,
        status: ChatStatus::Done,
        degraded: false,
        fallback_source: answer.fallback_reason,
        usage: answer.usage,
        plan_id: None,
        confirm_token: None,
        attempts: answer.attempts,
    }
}

fn from_madre(answer: MadreChatResponse, fallback_source: Option<String>) -> Answer {
    Answer {
        response: answer.response,
        reasoning: None,
        model_used: answer.model,
        provider: ChatProvider::Madre,
        status: answer.status,
        degraded: fallback_source.is_some(),
        fallback_source,
        usage: None,
        plan_id: answer.plan_id,
        confirm_token: answer.confirm_token,
        attempts: Vec::new(),
    }
}
