//! The rest of the operator API: status, sessions, audit, metrics, replay, commands, breakers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::chat::{ChatResponse, ChatStatus, Usage};
use crate::health::Level;
use crate::power::PowerMode;
use crate::switch::BreakerInfo;

/// The envelope of a successful answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Envelope<T> {
    /// Always `true`.
    pub ok: bool,
    /// The answer.
    pub data: T,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

impl<T> Envelope<T> {
    /// Wraps `data`, stamped with the current time.
    pub fn new(data: T) -> Self {
        Self { ok: true, data, timestamp: crate::time::now() }
    }
}

/// `GET /operator/api/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemStatus {
    /// Mode and policy.
    pub system_state: SystemState,
    /// Every service as operator sees it.
    pub services: Vec<ServiceStatus>,
    /// Every feature by name.
    pub features: BTreeMap<String, FeatureStatus>,
    /// The operator's own store.
    pub db_health: DbHealth,
}

/// Mode and policy as madre reports them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemState {
    /// The power mode; absent when madre does not answer.
    pub operational_mode: Option<PowerMode>,
    /// Whether the policy `solo_madre` is in force; absent when madre does not answer.
    pub policy_active: Option<bool>,
}

/// One service as operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// The service.
    pub name: String,
    /// How it is.
    pub status: Level,
    /// Its port.
    pub port: u16,
    /// What it is for.
    pub role: String,
    /// Milliseconds its `/health` took; absent when it did not answer.
    pub health_check_ms: Option<u64>,
}

/// One feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeatureStatus {
    /// `on`, `off`, `degraded` or `error`.
    pub status: FeatureLevel,
    /// Why.
    pub reason: String,
}

/// Whether a feature works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeatureLevel {
    /// Works.
    On,
    /// Switched off.
    Off,
    /// Works in part.
    Degraded,
    /// Does not work.
    Error,
}

/// The state of a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DbHealth {
    /// Database and write-ahead log, in MiB.
    pub size_mb: f64,
    /// `ok`, `warning` (writes are deferred) or `critical` (damaged or unreadable).
    pub integrity: String,
    /// Rows in all tables.
    pub rows_total: u64,
    /// When the newest backup was made, RFC 3339 UTC.
    pub last_backup: Option<String>,
}

/// One row of `GET /operator/api/sessions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionSummary {
    /// The conversation.
    pub session_id: String,
    /// When its first turn was stored, RFC 3339 UTC.
    pub created_at: String,
    /// When its last turn was stored, RFC 3339 UTC.
    pub last_activity_at: String,
    /// How many turns it has.
    pub turns: u64,
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Turn {
    /// Row id.
    pub id: i64,
    /// When it was answered, RFC 3339 UTC.
    pub timestamp: String,
    /// The conversation.
    pub session_id: String,
    /// The request.
    pub correlation_id: String,
    /// What was asked.
    pub message: String,
    /// What was answered.
    pub response: String,
    /// `switch` or `madre`.
    pub provider: String,
    /// The model that answered.
    pub model_used: String,
    /// `DONE`, `WAITING` …
    pub status: String,
    /// Whether a fallback answered.
    pub degraded: bool,
    /// Why.
    pub fallback_source: Option<String>,
    /// Milliseconds.
    pub latency_ms: u64,
    /// Tokens spent.
    pub usage: Option<Usage>,
}

/// `POST /operator/api/turns`: what came of a plan, told in the conversation that it came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTurn {
    /// The conversation; made where it is not there.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub session_id: String,
    /// The request that the plan came from.
    #[schema(min_length = 1, max_length = 128, pattern = "^[!-~]+$")]
    pub correlation_id: String,
    /// What was decided: 1 to 4000 characters. The same of the same request is kept once.
    #[schema(min_length = 1, max_length = 4000, pattern = r"\S")]
    pub message: String,
    /// What came of it: at most 20 000 characters.
    #[schema(max_length = 20_000)]
    pub response: String,
    /// How it ended.
    pub status: ChatStatus,
}

/// The model of a turn that tells what came of a plan.
pub const PLAN_OUTCOME: &str = "madre-plan";

/// A page of a list, newest first. Pass `next` as `?before=` to get the page after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last page.
    pub next: Option<String>,
}

/// `GET /operator/api/sessions/{id}`: the summary and a page of turns, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionDetail {
    /// The summary.
    #[serde(flatten)]
    pub session: SessionSummary,
    /// The page; `?after=` takes `next_after`.
    pub history: Vec<Turn>,
    /// The last turn's id when there are more.
    pub next_after: Option<i64>,
}

/// `GET /operator/api/audit/{correlation_id}`: what every service did for one request, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditTrail {
    /// The request.
    pub correlation_id: String,
    /// What was done, by service.
    pub actions: Vec<crate::event::Action>,
    /// The chat turns of the request.
    pub turns: Vec<Turn>,
    /// Services whose part of the trail could not be read, with the reason.
    pub incomplete: BTreeMap<String, String>,
}

/// `GET /operator/api/metrics`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricsSummary {
    /// The request that computed it.
    pub correlation_id: String,
    /// `1h`, `6h` or `24h`.
    pub period: String,
    /// How many requests.
    pub request_counts: RequestCounts,
    /// How long they took.
    pub latencies: Latencies,
    /// Failures by kind.
    pub errors: BTreeMap<String, u64>,
    /// Answers by who gave them.
    pub provider_usage: BTreeMap<String, u64>,
    /// RFC 3339 UTC; up to 5 minutes old.
    pub generated_at: String,
}

/// Requests, counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RequestCounts {
    /// All.
    pub total: u64,
    /// By route.
    pub by_endpoint: BTreeMap<String, u64>,
    /// By HTTP status.
    pub by_status: BTreeMap<String, u64>,
}

/// Latency in milliseconds; percentiles by nearest rank, exact below 1000 ms and to three digits above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Latencies {
    /// Half were at most this.
    pub p50_ms: f64,
    /// 95 % were at most this.
    pub p95_ms: f64,
    /// 99 % were at most this.
    pub p99_ms: f64,
    /// The mean.
    pub avg_ms: f64,
    /// The shortest.
    pub min_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

/// `POST /operator/api/replay/{correlation_id}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// `switch`, `madre` or one provider; absent: as it was asked the first time.
    #[serde(default)]
    pub provider: Option<String>,
}

/// Both answers of a replay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Replay {
    /// The turn as it was stored.
    pub original: Turn,
    /// The answer now. It is not added to the session.
    pub replayed: ChatResponse,
    /// How they differ.
    pub difference: Difference,
}

/// How two answers differ.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// Whether the texts are the same to the letter.
    pub identical: bool,
    /// How alike the texts are by words, 0 to 1.
    pub similarity: f64,
    /// The texts as a unified diff by lines; empty when identical.
    pub unified_diff: String,
    /// Fields other than the text that differ, each `[before, after]`.
    #[schema(value_type = Object)]
    pub fields: BTreeMap<String, [Value; 2]>,
    /// Milliseconds now minus milliseconds then.
    pub latency_delta_ms: i64,
}

/// `POST /operator/api/chat/commands`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    /// `status`, `open_window`, `close_window`, `spawn` or `message`.
    pub command: String,
    /// What the command needs.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub args: Map<String, Value>,
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandResult {
    /// `ok`, `error` or `off_by_policy`.
    pub result: String,
    /// As sent.
    pub command: String,
    /// The command's own answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    pub data: Option<Value>,
    /// Why it failed or was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The commands there are; only for an unknown one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Vec<String>>,
}

/// `GET /operator/api/circuit-breakers`: each target with its breaker.
pub type CircuitBreakers = BTreeMap<String, BreakerInfo>;
