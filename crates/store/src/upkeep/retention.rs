//! Retention: rows older than their table's age are counted, or deleted in small steps.

mod expired;
mod steps;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::postgres;
use crate::{AnyConnection, Database, StoreError, time};
use expired::Expired;
use steps::Steps;

/// How long a table keeps its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionRule {
    /// The table. It must have a primary key.
    pub table: String,
    /// Its column with the row's time, RFC 3339 text.
    pub time_column: String,
    /// Where its oldest rows are.
    pub order: RowOrder,
    /// Rows older than this many days go.
    pub days: u32,
}

/// Where the oldest rows of a table are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowOrder {
    /// In front in an index that begins with the time, the primary key or another: without one each run reads the whole
    /// table.
    Indexed,
    /// In front in the table itself: its key is an integer `id`, and rows are added as time goes. That costs no index.
    /// A run reads on from the oldest row as long as some of the next 500 are expired or all are from the future, so
    /// that a clock that was wrong for a while delays the end of rows and does not prevent it.
    ById,
    /// As [`RowOrder::ById`], and no id may ever mean another row: the newest one stays, however old, because the next
    /// gets the id after it.
    ByLastingId,
}

/// Whether rows really go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetentionMode {
    /// Only count them.
    Plan,
    /// Delete them, and give the space back.
    Apply,
}

/// What retention found or did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionReport {
    /// Whether rows were deleted.
    pub applied: bool,
    /// One entry a rule, in the rules' order.
    pub tables: Vec<RetentionTable>,
}

/// What retention found or did in one table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionTable {
    /// The table.
    pub table: String,
    /// The rule's age.
    pub days: u32,
    /// Rows from before this time are past it, RFC 3339.
    pub cutoff: String,
    /// Rows that would go, or are gone.
    pub rows: u64,
    /// Why this table was not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Database {
    /// Applies `rules`, or only counts what they would delete. A rule that fails is reported and does not stop the
    /// others.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn retention(
        &self,
        rules: Vec<RetentionRule>,
        mode: RetentionMode,
    ) -> Result<RetentionReport, StoreError> {
        self.run_apart(move |place, conn| {
            let now = Timestamp::now();
            let applied = mode == RetentionMode::Apply;
            let tables: Vec<_> = match (conn, place.sqlite()) {
                (AnyConnection::Sqlite(conn), Some(source)) => {
                    let mut steps = Steps { conn, source };
                    let tables: Vec<_> = rules.into_iter().map(|rule| enforce(&mut steps, rule, mode, now)).collect();
                    if applied && tables.iter().any(|table| table.rows > 0) {
                        steps.shrink()?;
                    }
                    tables
                }
                (AnyConnection::Postgres(conn), _) => {
                    rules.into_iter().map(|rule| postgres::enforce(conn, rule, mode, now)).collect()
                }
                (AnyConnection::Sqlite(_), None) => Vec::new(),
            };
            Ok(RetentionReport { applied, tables })
        })
        .await
    }
}

/// When a row has to be from to be past the age of `rule`: before this time.
pub(super) fn cutoff(rule: &RetentionRule, now: Timestamp) -> String {
    let age = SignedDuration::from_hours(24 * i64::from(rule.days));
    time::render(now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn enforce(steps: &mut Steps<'_>, rule: RetentionRule, mode: RetentionMode, now: Timestamp) -> RetentionTable {
    let cutoff = cutoff(&rule, now);
    let mut rows = 0;
    let result = Expired::of(steps.conn, &rule, cutoff.clone(), time::render(now))
        .and_then(|expired| expired.end(steps, mode, &mut rows).map_err(|error| error.to_string()));
    RetentionTable { table: rule.table, days: rule.days, cutoff, rows, error: result.err() }
}
