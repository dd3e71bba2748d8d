//! Fills the database with copies of requests that were made and decided over HTTP: real rows, with other ids and times.

use std::ops::Range;

use anyhow::ensure;
use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use tempfile::TempDir;
use vx11_testing_servers::Postgres;

use crate::load::Conversation;

/// Rows that are written in one transaction.
const BATCH: u64 = 100_000;
/// Of so many requests one waits; the others were decided.
const ONE_WAITS_OF: u64 = 10;
const WAITS: &str = "template-waits";
const DECIDED: &str = "template-decided";

/// Where they are kept.
pub(super) enum Place {
    /// In this directory.
    Sqlite(TempDir),
    /// At this URL.
    Postgres(String),
}

impl Place {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// What the operator is told.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Sqlite(dir) => vec![("VX11_DATA_DIR", dir.path().display().to_string())],
            Self::Postgres(url) => vec![("VX11_DATABASE_URL", url.clone())],
        }
    }

    /// Adds copies with these numbers.
    pub(super) fn fill(&self, numbers: Range<u64>) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(dir) => {
                let file = dir.path().join("control.sqlite3");
                let mut conn = SqliteConnection::establish(&file.display().to_string())?;
                conn.batch_execute("PRAGMA busy_timeout = 60000; PRAGMA synchronous = NORMAL;")?;
                for sql in copies(numbers, sqlite_time) {
                    conn.batch_execute(&sql)?;
                }
                conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE); ANALYZE;")?;
            }
            Self::Postgres(url) => {
                for sql in copies(numbers, postgres_time) {
                    // Its role is no superuser: row-level security wants to know whose rows these are.
                    let set = "SET search_path TO operator; SET vx11.platform = 'on';";
                    Postgres::execute_at(url, &format!("{set} {sql}"));
                }
                Postgres::execute_at(url, "VACUUM ANALYZE");
            }
        }
        Ok(())
    }
}

/// Makes one request that waits and one that is decided.
pub(super) async fn ask_for_templates(address: &str) -> anyhow::Result<()> {
    let mut conversation = Conversation::open(address).await?;
    for (id, priority) in [(WAITS, "normal"), (DECIDED, "low")] {
        let body = super::steady::request(id, priority);
        let status = conversation.post("/operator/api/interventions", &body).await?;
        ensure!(status == 201, "a template: {status}");
    }
    let decided =
        conversation.post(&format!("/operator/api/interventions/{DECIDED}/approve"), r#"{"version":1}"#).await?;
    ensure!(decided == 200, "a decided template: {decided}");
    Ok(())
}

/// A time for number `n`, as the operator writes times: within the last weeks, or it would be removed for its age.
fn sqlite_time(n: &str) -> String {
    format!("strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-20 days', '+' || {n} || ' seconds')")
}

fn postgres_time(n: &str) -> String {
    format!(
        r#"to_char(now() AT TIME ZONE 'UTC' - interval '20 days' + {n} * interval '1 second', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"#
    )
}

fn copies(numbers: Range<u64>, time: fn(&str) -> String) -> Vec<String> {
    let starts = (numbers.start..numbers.end).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX));
    starts.map(|start| batch(start..(start + BATCH).min(numbers.end), &time("n"))).collect()
}

/// Copies of both templates, and the counts that the operator would have kept.
fn batch(numbers: Range<u64>, time: &str) -> String {
    let Range { start, end } = numbers;
    let series = format!("WITH RECURSIVE s(n) AS (SELECT {start} UNION ALL SELECT n + 1 FROM s WHERE n + 1 < {end})");
    let id = "'copy-' || n";
    let ended = format!("CASE WHEN t.ended_at IS NULL THEN NULL ELSE {time} END");
    let template = format!("CASE WHEN n % {ONE_WAITS_OF} = 0 THEN '{WAITS}' ELSE '{DECIDED}' END");
    let waiting = (start..end).filter(|n| n % ONE_WAITS_OF == 0).count() as u64;
    let decided = end - start - waiting;
    format!(
        "BEGIN;
        {series} INSERT INTO interventions (org_id, request_id, uow_id, intervention_type, status, priority, assigned_to,
            created_at, expires_at, due_at, ended_at, version, record)
        SELECT t.org_id, {id}, t.uow_id, t.intervention_type, t.status, t.priority, t.assigned_to, {time}, t.expires_at,
            t.due_at, {ended}, t.version,
            replace(replace(t.record, t.request_id, {id}), t.created_at, {time})
        FROM s JOIN interventions t ON t.org_id = 'default' AND t.request_id = {template};
        {series} INSERT INTO intervention_history (org_id, request_id, uow_id, status, priority, created_at,
            completed_at, resolution_time_seconds, assigned_to, action_reason, archived_at)
        SELECT t.org_id, {id}, t.uow_id, t.status, t.priority, {time}, {time}, t.resolution_time_seconds, t.assigned_to,
            t.action_reason, t.archived_at
        FROM s JOIN intervention_history t ON t.org_id = 'default' AND t.request_id = '{DECIDED}'
        WHERE n % {ONE_WAITS_OF} <> 0;
        INSERT INTO intervention_counts (org_id, intervention_type, priority, status, requests)
        SELECT org_id, intervention_type, priority, status, CASE request_id WHEN '{WAITS}' THEN {waiting} ELSE {decided} END
        FROM interventions WHERE org_id = 'default' AND request_id IN ('{WAITS}', '{DECIDED}')
        ON CONFLICT (org_id, intervention_type, priority, status)
        DO UPDATE SET requests = intervention_counts.requests + excluded.requests;
        COMMIT;"
    )
}
