//! One chat from request to durable answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use vx11_chassis::{ApiError, RequestContext};
use vx11_contracts::ErrorCode;
use vx11_contracts::chat::{ChatRequest, ChatResponse, Storage};
use vx11_contracts::event::Action;
use vx11_contracts::intervention::Held;
use vx11_store::WriteError;

use super::abandoned::Abandoned;
use super::{Accepted, Answer, AnswerCache, Asker, Engine, Limits, Question, Reply, StreamLimits, record};
use crate::metrics::Metrics;
use crate::rate::SessionRate;
use crate::store::{Record, Store, action};

/// Everything that a chat needs. Cheap to clone; clones share all but the engine's connections.
#[derive(Clone, Debug)]
pub(crate) struct Chat {
    /// Who answers.
    pub(crate) engine: Engine,
    /// Where it is kept.
    pub(crate) store: Store,
    /// Messages per session.
    pub(crate) rate: SessionRate,
    /// Repeated messages.
    pub(crate) cache: AnswerCache,
    /// What is counted.
    pub(crate) metrics: Metrics,
    /// Bounds of a request.
    pub(crate) limits: Limits,
    /// Bounds of a streamed answer.
    pub(crate) stream_limits: StreamLimits,
    /// Earlier turns that are sent along.
    pub(crate) history_turns: u32,
    /// Chats answered since the start, for milestones.
    pub(crate) answered: Arc<AtomicU64>,
}

impl Chat {
    /// Checks a request.
    ///
    /// # Errors
    /// `invalid_field`, `message_too_long`.
    pub(crate) fn accept(
        &self,
        request: ChatRequest,
        asker: Asker,
        context: RequestContext,
    ) -> Result<Accepted, ApiError> {
        let accepted = Accepted::new(request, asker, context, self.limits)?;
        tracing::Span::current().record("correlation_id", &*accepted.context.correlation_id);
        Ok(accepted)
    }

    /// Counts a request against its session's limit.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) async fn admit(&self, asked: &Accepted) -> Result<(), ApiError> {
        let admitted = self.rate.check(&asked.asker.session(&asked.session_id)).await;
        admitted.map_err(|refused| {
            let seconds = refused.0.as_secs_f64().ceil().max(1.0) as u64;
            ApiError::rate_limited(seconds, "this session has sent too many messages")
        })
    }

    /// Answers a request whole.
    ///
    /// # Errors
    /// As [`Engine::answer`].
    pub(crate) async fn answer(&self, asked: &Accepted, started: Instant) -> Result<Reply<ChatResponse>, ApiError> {
        if let Some(answer) = self.repeated(asked, started).await {
            return Ok(Reply::Answer(answer));
        }
        let abandoned = Abandoned::unless_done(self, asked, started);
        let question = self.question(asked).await;
        let answer = self.engine.answer(&question, &asked.context).await;
        abandoned.done();
        match answer {
            Ok(Reply::Answer(answer)) => Ok(Reply::Answer(self.finish(asked, answer, started).await)),
            Ok(Reply::Held(held)) => Ok(Reply::Held(self.hold(asked, held, started).await)),
            Err(error) => Err(self.give_up(asked, error, started).await),
        }
    }

    /// The answer that this session got to this message a moment ago.
    pub(crate) async fn repeated(&self, asked: &Accepted, started: Instant) -> Option<ChatResponse> {
        if !asked.known_session {
            return None;
        }
        let earlier = self.cache.get(asked)?;
        self.metrics.cache_hit();
        let body = ChatResponse {
            correlation_id: asked.context.correlation_id.to_string(),
            latency_ms: millis_since(started),
            cache_hit: Some(true),
            ..(*earlier).clone()
        };
        let storage = self.keep(record::answered(asked, &body, None)).await;
        Some(self.sent(body, storage, started))
    }

    /// The question with its session's history. A store that does not answer costs the history, not the chat.
    pub(crate) async fn question(&self, asked: &Accepted) -> Question {
        let history = if asked.known_session && self.history_turns > 0 {
            let own = self.store.of(&asked.asker.org);
            let recent = own.recent_exchanges(&asked.session_id, None, self.history_turns).await;
            recent.unwrap_or_else(|error| {
                tracing::warn!(%error, "the session's history cannot be read; the chat goes on without it");
                Vec::new()
            })
        } else {
            Vec::new()
        };
        Question {
            message: asked.request.message.clone(),
            history,
            session_id: asked.session_id.clone(),
            context: asked.request.context.clone(),
            metadata: asked.request.metadata.clone(),
            provider: asked.provider.clone(),
            org: asked.asker.told.clone(),
            subject: asked.asker.subject.clone(),
            intervention: asked.intervention.clone(),
        }
    }

    /// Makes an answer durable and turns it into what the caller is told.
    pub(crate) async fn finish(&self, asked: &Accepted, answer: Answer, started: Instant) -> ChatResponse {
        let body = response(asked, &answer, started);
        let storage = self.keep(record::answered(asked, &body, Some(&answer))).await;
        // Nobody can repeat a message in a session that did not have a name when it was sent.
        if asked.known_session {
            self.cache.put(asked, &body);
        }
        self.milestone(asked);
        self.sent(body, storage, started)
    }

    /// Keeps the trail of a chat that waits for a person.
    pub(crate) async fn hold(&self, asked: &Accepted, held: Held, started: Instant) -> Held {
        tracing::info!(intervention = held.intervention.id, "chat held for a person");
        self.keep(record::held(asked, &held, started.elapsed())).await;
        Held { session_id: Some(asked.session_id.clone()), ..held }
    }

    /// Keeps the trail of a chat that nobody answered.
    pub(crate) async fn give_up(&self, asked: &Accepted, error: ApiError, started: Instant) -> ApiError {
        self.keep(record::failed(asked, &error, started.elapsed())).await;
        error
    }

    /// Keeps the rows of a chat whose caller went away. It does not wait; the writer counts what it has no room for.
    pub(crate) fn abandon(&self, asked: &Accepted, started: Instant) {
        let _ = self.store.writer.try_enqueue(record::abandoned(asked, started.elapsed()));
    }

    /// Answers a request without leaving a turn, a cache entry or a mark on its session.
    ///
    /// # Errors
    /// As [`Engine::answer`].
    pub(crate) async fn rehearse(&self, asked: &Accepted, question: &Question) -> Result<ChatResponse, ApiError> {
        let started = Instant::now();
        match self.engine.answer(question, &asked.context).await? {
            Reply::Answer(answer) => Ok(response(asked, &answer, started)),
            Reply::Held(held) => Err(ApiError::new(ErrorCode::HeldPending, held.detail)),
        }
    }

    fn sent(&self, body: ChatResponse, storage: Option<Storage>, started: Instant) -> ChatResponse {
        let provider = body.provider.as_str();
        tracing::info!(provider, degraded = body.degraded, latency_ms = body.latency_ms, "chat sent");
        self.metrics.chat_answered(body.provider, body.degraded, started.elapsed());
        ChatResponse { storage, ..body }
    }

    /// Writes `record`; answers where it is when it is not on disk. The writer bounds the wait and logs its own
    /// troubles.
    async fn keep(&self, record: Record) -> Option<Storage> {
        let error = self.store.writer.write(record).await.err()?;
        self.metrics.deferred();
        if !matches!(error, WriteError::Deferred) {
            tracing::error!(%error, "the rows of a chat are lost");
        }
        Some(Storage::Deferred)
    }

    /// Says on the event stream when the number of chats answered since the start gains a digit.
    fn milestone(&self, asked: &Accepted) {
        let chats = self.answered.fetch_add(1, Ordering::Relaxed) + 1;
        if chats < 100 || 10_u64.pow(chats.ilog10()) != chats {
            return;
        }
        let reached = Action {
            target: Some("chats_answered".to_owned()),
            notes: Some(serde_json::json!({ "value": chats, "unit": "chats" }).to_string()),
            ..action(&*asked.context.correlation_id, "milestone", "performance_milestone", "ok")
        };
        // A milestone is news, not a record: the writer counts it when it has no room.
        let _ = self.store.writer.try_enqueue(Record::Action(reached));
    }
}

/// What the caller is told.
fn response(asked: &Accepted, answer: &Answer, started: Instant) -> ChatResponse {
    ChatResponse {
        response: answer.response.clone(),
        model_used: answer.model_used.clone(),
        latency_ms: millis_since(started),
        correlation_id: asked.context.correlation_id.to_string(),
        session_id: asked.session_id.clone(),
        provider: answer.provider,
        status: answer.status,
        degraded: answer.degraded,
        fallback_source: answer.fallback_source.clone(),
        cache_hit: None,
        reasoning: answer.reasoning.clone(),
        usage: answer.usage,
        plan_id: answer.plan_id.clone(),
        confirm_token: answer.confirm_token.clone(),
        storage: None,
    }
}

fn millis_since(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}
