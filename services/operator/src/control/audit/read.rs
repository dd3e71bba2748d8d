//! Rows as they are read: a page of them, as callers see them, or one after the other, as they are verified.

use diesel::prelude::*;
use vx11_contracts::audit::{AuditOutcome, AuditRow};
use vx11_identity::audit_chain::{CanonicalRow, Entry, GENESIS, Head};
use vx11_store::{AnyConnection, StoreError};

use super::super::schema::audit_log;
use super::AuditLog;
use super::marks::first_id_since;
use crate::domain::audit::Fields;

/// Which rows; every condition must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) actor: Option<String>,
    pub(crate) action: Option<String>,
    pub(crate) target: Option<String>,
    pub(crate) outcome: Option<AuditOutcome>,
    /// At or after this time, as stored.
    pub(crate) since: Option<String>,
    /// Before this time, as stored.
    pub(crate) until: Option<String>,
}

#[derive(Debug, Queryable, Selectable)]
#[diesel(table_name = audit_log)]
pub(super) struct Row {
    pub(super) id: i64,
    org_id: String,
    /// `None`: it is not linked yet.
    pub(super) seq: Option<i64>,
    at: String,
    actor: String,
    actor_kind: String,
    action: String,
    target_kind: Option<String>,
    target_id: Option<String>,
    outcome: String,
    correlation_id: Option<String>,
    client: Option<String>,
    details: String,
    hash: Option<String>,
}

/// A page of rows with their ids, and where it ends, be it with one that cannot be read (`None`).
pub(super) type Page = (i64, Vec<(i64, Option<AuditRow>)>);

/// `None`: there are none.
fn page(rows: Vec<Row>, end: impl Fn(&Row) -> Option<i64>) -> Option<Page> {
    let last = rows.last().and_then(end)?;
    Some((last, rows.into_iter().map(|row| (row.id, row.shown())).collect()))
}

impl AuditLog {
    /// Up to `limit` rows that were begun before the row of the id `before`, the newest first, also such that are not
    /// linked yet; and the id to go on from, where there may be more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn page(
        &self,
        conditions: Conditions,
        before: Option<i64>,
        limit: u32,
    ) -> Result<(Vec<AuditRow>, Option<i64>), StoreError> {
        let org = self.org.clone();
        let read = move |conn: &mut AnyConnection| {
            let mut rows = audit_log::table.filter(audit_log::org_id.eq(org.as_str())).into_boxed();
            if let Some(before) = before {
                rows = rows.filter(audit_log::id.lt(before));
            }
            let Conditions { actor, action, target, outcome, since, until } = conditions;
            if let Some(actor) = actor {
                rows = rows.filter(audit_log::actor.eq(actor));
            }
            if let Some(action) = action {
                rows = rows.filter(audit_log::action.eq(action));
            }
            if let Some(target) = target {
                rows = rows.filter(audit_log::target_id.eq(target));
            }
            if let Some(outcome) = outcome {
                rows = rows.filter(audit_log::outcome.eq(outcome.as_str()));
            }
            if let Some(since) = since {
                if let AnyConnection::Sqlite(conn) = conn {
                    rows = rows.filter(audit_log::id.ge(first_id_since(conn, &since)?));
                }
                rows = rows.filter(audit_log::at.ge(since));
            }
            if let Some(until) = until {
                rows = rows.filter(audit_log::at.lt(until));
            }
            let rows = rows.order(audit_log::id.desc()).limit(i64::from(limit)).select(Row::as_select());
            let rows: Vec<Row> = rows.load(conn)?;
            let next = rows.last().filter(|_| rows.len() == limit as usize).map(|last| last.id);
            Ok::<_, StoreError>((rows.into_iter().filter_map(Row::shown).collect(), next))
        };
        self.database.read(self.scope(), read).await
    }

    /// Up to `limit` linked rows from the row `from` on, the oldest first; and the last one's number.
    pub(super) async fn rows_from(&self, from: i64, limit: i64) -> Result<Option<Page>, StoreError> {
        Ok(page(self.stored_from(Some(from), limit).await?, |last| last.seq))
    }

    /// Up to `limit` rows behind the id `after` that are not linked yet, the oldest first; and the last one's id.
    pub(super) async fn unlinked_after(&self, after: i64, limit: i64) -> Result<Option<Page>, StoreError> {
        let org = self.org.clone();
        let read = move |conn: &mut AnyConnection| {
            let rows = audit_log::table.filter(audit_log::org_id.eq(org.as_str())).filter(audit_log::seq.is_null());
            let rows = rows.filter(audit_log::id.gt(after)).order(audit_log::id.asc()).limit(limit);
            let rows: Vec<Row> = rows.select(Row::as_select()).load(conn)?;
            Ok::<_, StoreError>(page(rows, |last| Some(last.id)))
        };
        self.database.read(self.scope(), read).await
    }

    /// Linked rows only.
    pub(super) async fn stored_from(&self, from: Option<i64>, limit: i64) -> Result<Vec<Row>, StoreError> {
        let org = self.org.clone();
        let read = move |conn: &mut AnyConnection| {
            let mut rows = audit_log::table.filter(audit_log::org_id.eq(org.as_str())).into_boxed();
            rows = match from {
                Some(from) => rows.filter(audit_log::seq.ge(from)),
                None => rows.filter(audit_log::seq.is_not_null()),
            };
            let rows = rows.order(audit_log::seq.asc()).limit(limit).select(Row::as_select());
            Ok::<_, StoreError>(rows.load(conn)?)
        };
        self.database.read(self.scope(), read).await
    }
}

impl Row {
    /// What is hashed of it.
    pub(super) fn canonical(&self) -> CanonicalRow {
        let fields = Fields {
            org: &self.org_id,
            at: &self.at,
            actor: &self.actor,
            actor_kind: &self.actor_kind,
            action: &self.action,
            target_kind: self.target_kind.as_deref(),
            target_id: self.target_id.as_deref(),
            outcome: &self.outcome,
            correlation_id: self.correlation_id.as_deref(),
            client: self.client.as_deref(),
            details: &self.details,
        };
        fields.canonical()
    }

    /// The row as the chain has it.
    pub(super) fn entry(&self) -> Entry {
        Entry {
            sequence: self.seq.map_or(0, sequence),
            row: self.canonical(),
            // What is no hash is none of this row.
            hash: self.hash.as_deref().and_then(|hash| hash.parse().ok()).unwrap_or(GENESIS),
        }
    }

    /// `None`: of a later version, or not as it was written.
    fn shown(self) -> Option<AuditRow> {
        Some(AuditRow {
            org_id: self.org_id.parse().ok()?,
            seq: self.seq.map(sequence),
            at: self.at,
            actor: self.actor,
            actor_kind: self.actor_kind.parse().ok()?,
            action: self.action,
            target_kind: self.target_kind,
            target_id: self.target_id,
            outcome: self.outcome.parse().ok()?,
            correlation_id: self.correlation_id,
            client: self.client,
            details: serde_json::from_str(&self.details).ok()?,
            hash: self.hash,
        })
    }
}

/// A head as it is stored. One that cannot be read is no row's.
pub(super) fn head((seq, hash): (i64, String)) -> Head {
    Head { sequence: sequence(seq), hash: hash.parse().unwrap_or(GENESIS) }
}

/// No row has a number below 1: one that has was put in.
fn sequence(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
