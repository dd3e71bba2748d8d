//! What a chat leaves in the store.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use vx11_chassis::ApiError;
use vx11_contracts::chat::{ChatRequest, ChatResponse, ChatStatus};
use vx11_contracts::event::Action;
use vx11_contracts::intervention::Held;
use vx11_contracts::switch::Attempt;
use vx11_contracts::time;
use vx11_store::OrgColumn;

use super::{Accepted, Answer};
use crate::store::{self, ChatRecord, Extras, NewPerformance, NewTurn, Record, storable};

/// The endpoint of the performance row.
const ENDPOINT: &str = "/operator/api/chat";

/// How a chat ended whose caller went away.
const DISCONNECTED: &str = "client_disconnected";
/// The status that stands for it in statistics, as in nginx's; nobody is sent it.
const STATUS_DISCONNECTED: u16 = 499;

/// The status of a chat that waits for a person.
const STATUS_HELD: u16 = 202;

/// The mode of a row that tells of trouble.
const DEGRADED: &str = "degraded";

/// What the audit row of an answered chat says besides its columns.
#[derive(Serialize)]
struct Notes<'a> {
    latency_ms: u64,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback_source: Option<&'a str>,
    cache_hit: bool,
    attempts: &'a [Attempt],
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<&'a str>,
    /// The one by which a person has approved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    intervention: Option<&'a str>,
}

/// The rows of an answered chat. `answer` is `None` for a repetition from the cache, which makes no turn.
pub(super) fn answered(asked: &Accepted, body: &ChatResponse, answer: Option<&Answer>) -> Record {
    let now = time::now();
    let notes = Notes {
        latency_ms: body.latency_ms,
        model: &body.model_used,
        fallback_source: body.fallback_source.as_deref(),
        cache_hit: body.cache_hit.unwrap_or(false),
        attempts: answer.map(|answer| answer.attempts.as_slice()).unwrap_or_default(),
        plan_id: body.plan_id.as_deref(),
        intervention: asked.intervention.as_ref().and_then(|id| id.to_str().ok()),
    };
    let who = body.provider.as_str();
    Record::Chat(Box::new(ChatRecord {
        turn: answer.map(|answer| turn(asked, body, answer, now.clone())),
        action: Action {
            timestamp: now.clone(),
            target: Some(who.to_owned()),
            mode: if body.degraded { DEGRADED } else { "normal" }.to_owned(),
            ..action(asked, "ok", serde_json::to_string(&notes).ok())
        },
        performance: NewPerformance {
            provider: Some(who.to_owned()),
            degraded: body.degraded,
            ..performance(asked, 200, body.latency_ms, now)
        },
    }))
}

/// The rows of a chat that waits for a person.
pub(super) fn held(asked: &Accepted, held: &Held, elapsed: Duration) -> Record {
    let now = time::now();
    let notes = json!({ "intervention": held.intervention.id });
    Record::Chat(Box::new(ChatRecord {
        turn: None,
        action: Action { timestamp: now.clone(), ..action(asked, "held", Some(notes.to_string())) },
        performance: performance(asked, STATUS_HELD, millis(elapsed), now),
    }))
}

/// The rows of a chat that nobody answered.
pub(super) fn failed(asked: &Accepted, error: &ApiError, elapsed: Duration) -> Record {
    let now = time::now();
    let code = error.code();
    let notes = json!({ "error": code, "cause": error.cause() });
    // A refusal of what cannot be answered is no sign of trouble.
    let mode = if code.status() >= 500 { DEGRADED } else { "normal" }.to_owned();
    Record::Chat(Box::new(ChatRecord {
        turn: None,
        action: Action { timestamp: now.clone(), mode, ..action(asked, "error", Some(notes.to_string())) },
        performance: NewPerformance {
            error_type: Some(code.as_str().to_owned()),
            ..performance(asked, code.status(), millis(elapsed), now)
        },
    }))
}

/// The rows of a chat whose caller went away before its end.
pub(super) fn abandoned(asked: &Accepted, elapsed: Duration) -> Record {
    Record::Chat(Box::new(ChatRecord {
        turn: None,
        action: action(asked, DISCONNECTED, None),
        performance: NewPerformance {
            error_type: Some(DISCONNECTED.to_owned()),
            ..performance(asked, STATUS_DISCONNECTED, millis(elapsed), time::now())
        },
    }))
}

fn turn(asked: &Accepted, body: &ChatResponse, answer: &Answer, timestamp: String) -> NewTurn {
    let usage = answer.usage.as_ref();
    NewTurn {
        org_id: OrgColumn(asked.asker.org.clone()),
        timestamp,
        session_id: asked.session_id.clone(),
        correlation_id: asked.context.correlation_id.to_string(),
        message: storable(&asked.request.message),
        extras: extras(asked),
        response: storable(&answer.response),
        reasoning: answer.reasoning.as_deref().map(storable),
        provider: answer.provider.as_str(),
        model_used: answer.model_used.clone(),
        status: status_word(answer.status),
        degraded: answer.degraded,
        fallback_source: answer.fallback_source.clone(),
        latency_ms: signed(body.latency_ms),
        prompt_tokens: usage.map(|usage| signed(usage.prompt_tokens)),
        completion_tokens: usage.map(|usage| signed(usage.completion_tokens)),
    }
}

/// What the request held besides its message; mostly nothing.
fn extras(asked: &Accepted) -> Option<String> {
    let ChatRequest { context, metadata, provider, .. } = &asked.request;
    if context.is_empty() && metadata.is_empty() && provider.is_none() {
        return None;
    }
    let extras = Extras { context: context.clone(), metadata: metadata.clone(), provider: provider.clone() };
    serde_json::to_string(&extras).ok()
}

fn action(asked: &Accepted, status: &str, notes: Option<String>) -> Action {
    Action {
        org_id: asked.asker.org.clone(),
        session_id: Some(asked.session_id.clone()),
        notes,
        ..store::action(&*asked.context.correlation_id, "chat", "chat", status)
    }
}

fn performance(asked: &Accepted, status: u16, latency_ms: u64, timestamp: String) -> NewPerformance {
    NewPerformance {
        org_id: OrgColumn(asked.asker.org.clone()),
        timestamp,
        correlation_id: asked.context.correlation_id.to_string(),
        session_id: Some(asked.session_id.clone()),
        endpoint: ENDPOINT.to_owned(),
        method: "POST",
        status_code: status.into(),
        latency_ms: signed(latency_ms),
        provider: None,
        degraded: false,
        error_type: None,
    }
}

/// The word on the wire, which is the word in the store.
fn status_word(status: ChatStatus) -> &'static str {
    match status {
        ChatStatus::Pending => "PENDING",
        ChatStatus::Running => "RUNNING",
        ChatStatus::Waiting => "WAITING",
        ChatStatus::Done => "DONE",
        ChatStatus::Error => "ERROR",
    }
}

fn millis(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
