//! Retention: rows older than their table's age are counted, or deleted in small steps.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{quoted, shape};
use crate::connection::Source;
use crate::{Connection, Db, StoreError, time};

/// Rows deleted in one transaction: few enough that the writer hardly waits for it.
const STEP_ROWS: usize = 500;
/// Pages given back to the file system in one transaction.
const STEP_PAGES: usize = 256;
/// The shortest pause between two transactions; the writer gets its turn then.
const PAUSE: Duration = Duration::from_millis(10);

/// How long a table keeps its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RetentionRule {
    /// The table. It must have row ids (not `WITHOUT ROWID`).
    pub table: String,
    /// Its column with the row's time, RFC 3339 text; indexed, or each run reads the whole table.
    pub time_column: String,
    /// Rows older than this many days go.
    pub days: u32,
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

impl Db {
    /// Applies `rules`, or only counts what they would delete. A rule that fails is reported and does not stop the
    /// others.
    pub async fn retention(
        &self,
        rules: Vec<RetentionRule>,
        mode: RetentionMode,
    ) -> Result<RetentionReport, StoreError> {
        let source = self.source().clone();
        self.run_apart(move |conn| {
            let mut steps = Steps { conn, source: &source };
            let now = Timestamp::now();
            let tables: Vec<_> = rules.into_iter().map(|rule| enforce(&mut steps, rule, mode, now)).collect();
            let applied = mode == RetentionMode::Apply;
            if applied && tables.iter().any(|table| table.rows > 0) {
                steps.shrink()?;
            }
            Ok(RetentionReport { applied, tables })
        })
        .await
    }
}

fn enforce(steps: &mut Steps<'_>, rule: RetentionRule, mode: RetentionMode, now: Timestamp) -> RetentionTable {
    let age = SignedDuration::from_hours(24 * i64::from(rule.days));
    let cutoff = time::render(now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH));
    let mut rows = 0;
    let result = check_rule(steps.conn, &rule).and_then(|()| {
        let done = match mode {
            RetentionMode::Plan => count(steps.conn, &rule, &cutoff).map(|expired| rows = expired),
            RetentionMode::Apply => steps.delete(&rule, &cutoff, &mut rows),
        };
        done.map_err(|error| error.to_string())
    });
    RetentionTable { table: rule.table, days: rule.days, cutoff, rows, error: result.err() }
}

/// SQLite reads an unknown quoted name as a text, which is older than any time or never: worth asking before.
fn check_rule(conn: &mut Connection, rule: &RetentionRule) -> Result<(), String> {
    let columns = shape::columns(conn, &rule.table).map_err(|error| error.to_string())?;
    if columns.iter().any(|column| column.name == rule.time_column) {
        return Ok(());
    }
    Err(format!("there is no column {} in a table {}", rule.time_column, rule.table))
}

fn count(conn: &mut Connection, rule: &RetentionRule, cutoff: &str) -> QueryResult<u64> {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = BigInt)]
        rows: i64,
    }
    let (table, column) = (quoted(&rule.table), quoted(&rule.time_column));
    let count: Count = sql_query(format!("SELECT count(*) AS rows FROM {table} WHERE {column} < ?"))
        .bind::<Text, _>(cutoff)
        .get_result(conn)?;
    Ok(count.rows.unsigned_abs())
}

/// A connection that writes in short transactions, taking turns with the writer.
struct Steps<'a> {
    conn: &'a mut Connection,
    source: &'a Source,
}

impl Steps<'_> {
    fn delete(&mut self, rule: &RetentionRule, cutoff: &str, deleted: &mut u64) -> QueryResult<()> {
        let (table, column) = (quoted(&rule.table), quoted(&rule.time_column));
        let step = format!(
            "DELETE FROM {table} WHERE rowid IN (SELECT rowid FROM {table} WHERE {column} < ? LIMIT {STEP_ROWS})"
        );
        loop {
            let rows = self.take(|conn| sql_query(&step).bind::<Text, _>(cutoff).execute(conn))?;
            *deleted += rows as u64;
            if rows < STEP_ROWS {
                return Ok(());
            }
        }
    }

    /// Gives the free pages back to the file system.
    fn shrink(&mut self) -> QueryResult<()> {
        let mut free = free_pages(self.conn)?;
        while free > 0 {
            self.take(|conn| conn.batch_execute(&format!("PRAGMA incremental_vacuum({STEP_PAGES})")))?;
            let left = free_pages(self.conn)?;
            if left >= free {
                // A database that was not made with incremental vacuum reuses its free pages instead.
                break;
            }
            free = left;
        }
        Ok(())
    }

    /// Runs one transaction and then pauses for at least as long as it took, so that others get half of the time.
    fn take<T>(&mut self, transaction: impl FnOnce(&mut Connection) -> T) -> T {
        let turn = self.source.turn(self.source.config.busy_timeout);
        let start = Instant::now();
        let result = transaction(self.conn);
        drop(turn);
        std::thread::sleep(start.elapsed().max(PAUSE));
        result
    }
}

fn free_pages(conn: &mut Connection) -> QueryResult<i64> {
    #[derive(QueryableByName)]
    struct Pages {
        #[diesel(sql_type = BigInt)]
        pages: i64,
    }
    let free: Pages = sql_query("SELECT freelist_count AS pages FROM pragma_freelist_count").get_result(conn)?;
    Ok(free.pages)
}
