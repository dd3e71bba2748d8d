//! What the hot path writes: the rows, and the statement that each of them is.

use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use vx11_contracts::event::Action;
use vx11_store::{OrgColumn, insert};

/// One unit of writing.
#[derive(Debug)]
pub(crate) enum Record {
    /// An answered chat: the turn and its session where it made one, its audit row and its performance row, together.
    Chat(Box<ChatRecord>),
    /// What came of a plan, once however often it is told: its turn and its audit row.
    Outcome(Box<OutcomeRecord>),
    /// Something that was done.
    Action(Action),
    /// A request that was not a chat.
    Performance(NewPerformance),
}

/// Everything that one answered chat leaves behind.
#[derive(Debug)]
pub(crate) struct ChatRecord {
    /// The turn; none for a repetition from the answer cache, and none where nothing answered.
    pub(crate) turn: Option<NewTurn>,
    /// The audit row.
    pub(crate) action: Action,
    /// The performance row.
    pub(crate) performance: NewPerformance,
}

/// What came of a plan.
#[derive(Debug)]
pub(crate) struct OutcomeRecord {
    /// The turn. One of the same request that says the same is the same.
    pub(crate) turn: NewTurn,
    /// The audit row.
    pub(crate) action: Action,
}

/// A row of `turns`; the migration and the contracts' `Turn` explain the columns.
#[derive(Clone, Debug)]
pub(crate) struct NewTurn {
    pub(crate) org_id: OrgColumn,
    pub(crate) timestamp: String,
    pub(crate) session_id: String,
    pub(crate) correlation_id: String,
    pub(crate) message: String,
    pub(crate) extras: Option<String>,
    pub(crate) response: String,
    pub(crate) reasoning: Option<String>,
    pub(crate) provider: &'static str,
    pub(crate) model_used: String,
    pub(crate) status: &'static str,
    pub(crate) degraded: bool,
    pub(crate) fallback_source: Option<String>,
    pub(crate) latency_ms: i64,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
}
insert! {
    NewTurn into turns {
        org_id: Text,
        timestamp: Text,
        session_id: Text,
        correlation_id: Text,
        message: Text,
        extras: Nullable<Text>,
        response: Text,
        reasoning: Nullable<Text>,
        provider: Text,
        model_used: Text,
        status: Text,
        degraded: Bool,
        fallback_source: Nullable<Text>,
        latency_ms: BigInt,
        prompt_tokens: Nullable<BigInt>,
        completion_tokens: Nullable<BigInt>,
    }
}

/// What is kept of a text: PostgreSQL has no place for the character U+0000, so it is its picture, `␀`, on both databases.
pub(crate) fn storable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

/// A row of `performance_logs`; summed up in the contracts' `MetricsSummary`.
#[derive(Clone, Debug)]
pub(crate) struct NewPerformance {
    pub(crate) org_id: OrgColumn,
    pub(crate) timestamp: String,
    pub(crate) correlation_id: String,
    pub(crate) session_id: Option<String>,
    pub(crate) endpoint: String,
    pub(crate) method: &'static str,
    pub(crate) status_code: i32,
    pub(crate) latency_ms: i64,
    pub(crate) provider: Option<String>,
    pub(crate) degraded: bool,
    pub(crate) error_type: Option<String>,
}
insert! {
    NewPerformance into performance_logs {
        org_id: Text,
        timestamp: Text,
        correlation_id: Text,
        session_id: Nullable<Text>,
        endpoint: Text,
        method: Text,
        status_code: Integer,
        latency_ms: BigInt,
        provider: Nullable<Text>,
        degraded: Bool,
        error_type: Nullable<Text>,
    }
}

impl NewTurn {
    /// Whether it tells the same of the same request.
    pub(super) fn is_same_outcome(&self, other: &Self) -> bool {
        self.correlation_id == other.correlation_id
            && self.org_id == other.org_id
            && self.session_id == other.session_id
            && self.message == other.message
            && self.model_used == other.model_used
    }
}

impl NewPerformance {
    /// The minute that the row is summed up in, such as `2026-11-21T04:05`.
    pub(super) fn minute(&self) -> &str {
        self.timestamp.get(..16).unwrap_or(&self.timestamp)
    }
}

/// A turn's mark on its session: the first makes it, the next are counted.
pub(super) struct SessionTurn<'a> {
    pub(super) session_id: &'a str,
    pub(super) org_id: &'a str,
    pub(super) created_at: &'a str,
    pub(super) last_activity_at: &'a str,
    pub(super) turns: i64,
}
insert! {
    SessionTurn<'_> into sessions {
        session_id: Text,
        org_id: Text,
        created_at: Text,
        last_activity_at: Text,
        turns: BigInt,
    }
    "ON CONFLICT (session_id, org_id) DO UPDATE SET turns = sessions.turns + excluded.turns, last_activity_at = \
     CASE WHEN excluded.last_activity_at > sessions.last_activity_at THEN excluded.last_activity_at ELSE sessions.last_activity_at END"
}

/// A row of `performance_minutes`, which replaces the one of before.
pub(super) struct Minute<'a> {
    pub(super) minute: &'a str,
    pub(super) org_id: &'a str,
    pub(super) writer_id: &'a str,
    pub(super) summary: String,
}
insert! {
    Minute<'_> into performance_minutes { minute: Text, org_id: Text, writer_id: Text, summary: Text }
    "ON CONFLICT (minute, org_id, writer_id) DO UPDATE SET summary = excluded.summary"
}
