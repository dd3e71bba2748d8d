//! `copilot_actions_log`: the audit trail, and the tail that events are made of.

use diesel::prelude::*;
use vx11_contracts::event::Action;
use vx11_store::StoreError;

use super::Store;
use super::schema::copilot_actions_log as log;

#[derive(Queryable, Selectable)]
#[diesel(table_name = log)]
struct ActionRow {
    id: i64,
    timestamp: String,
    source: String,
    session_id: Option<String>,
    correlation_id: String,
    action: String,
    action_type: String,
    target: Option<String>,
    status: String,
    mode: String,
    notes: Option<String>,
}

/// Which rows of the trail to list; every condition must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct ActionQuery {
    /// Of this request.
    pub(crate) correlation_id: Option<String>,
    /// Of this session.
    pub(crate) session_id: Option<String>,
    /// This action.
    pub(crate) action: Option<String>,
    /// This class.
    pub(crate) action_type: Option<String>,
    /// With this outcome.
    pub(crate) status: Option<String>,
    /// At or after this time, RFC 3339 UTC.
    pub(crate) since: Option<String>,
    /// Before this time, RFC 3339 UTC.
    pub(crate) until: Option<String>,
    /// With a smaller id.
    pub(crate) before_id: Option<i64>,
}

impl Store {
    /// Up to `limit` rows that fit `query`, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn list_actions(&self, query: ActionQuery, limit: u32) -> Result<Vec<Action>, StoreError> {
        let rows: Vec<ActionRow> = self
            .db
            .run(move |conn| {
                let mut rows = log::table.select(ActionRow::as_select()).into_boxed();
                if let Some(id) = query.correlation_id {
                    rows = rows.filter(log::correlation_id.eq(id));
                }
                if let Some(id) = query.session_id {
                    rows = rows.filter(log::session_id.eq(id));
                }
                if let Some(action) = query.action {
                    rows = rows.filter(log::action.eq(action));
                }
                if let Some(class) = query.action_type {
                    rows = rows.filter(log::action_type.eq(class));
                }
                if let Some(status) = query.status {
                    rows = rows.filter(log::status.eq(status));
                }
                if let Some(time) = query.since {
                    rows = rows.filter(log::timestamp.ge(time));
                }
                if let Some(time) = query.until {
                    rows = rows.filter(log::timestamp.lt(time));
                }
                if let Some(id) = query.before_id {
                    rows = rows.filter(log::id.lt(id));
                }
                rows.order(log::id.desc()).limit(limit.into()).load(conn)
            })
            .await?;
        Ok(rows.into_iter().map(Action::from).collect())
    }

    /// Up to `limit` rows after `id`, oldest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn actions_after(&self, id: i64, limit: u32) -> Result<Vec<Action>, StoreError> {
        let rows: Vec<ActionRow> = self
            .db
            .run(move |conn| {
                let after = log::table.filter(log::id.gt(id)).order(log::id);
                after.limit(limit.into()).select(ActionRow::as_select()).load(conn)
            })
            .await?;
        Ok(rows.into_iter().map(Action::from).collect())
    }

    /// The id of the newest row; 0 when there is none.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn newest_action_id(&self) -> Result<i64, StoreError> {
        let newest: Option<i64> = self.db.run(|conn| log::table.select(diesel::dsl::max(log::id)).first(conn)).await?;
        Ok(newest.unwrap_or(0))
    }
}

impl From<ActionRow> for Action {
    fn from(row: ActionRow) -> Self {
        Self {
            id: row.id,
            timestamp: row.timestamp,
            source: row.source,
            session_id: row.session_id,
            correlation_id: row.correlation_id,
            action: row.action,
            action_type: row.action_type,
            target: row.target,
            status: row.status,
            mode: row.mode,
            notes: row.notes,
        }
    }
}
