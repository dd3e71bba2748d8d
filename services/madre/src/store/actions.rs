//! `madre_actions_log`: the trail of what madre did.

use diesel::prelude::*;
use vx11_contracts::event::Action;
use vx11_store::StoreError;

use super::Store;
use super::schema::madre_actions_log as log;

/// Rows of one request's trail that are listed at most.
const MOST_ACTIONS: i64 = 1000;

#[derive(Insertable)]
#[diesel(table_name = log)]
pub(super) struct NewAction<'a> {
    timestamp: &'a str,
    source: &'a str,
    session_id: Option<&'a str>,
    correlation_id: &'a str,
    action: &'a str,
    action_type: &'a str,
    target: Option<&'a str>,
    status: &'a str,
    mode: &'a str,
    notes: Option<&'a str>,
}

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

impl Store {
    /// The trail of one request, oldest first.
    pub(crate) async fn actions_of(&self, correlation_id: String) -> Result<Vec<Action>, StoreError> {
        let rows: Vec<ActionRow> = self
            .db
            .run(move |conn| {
                let of_request = log::table.filter(log::correlation_id.eq(correlation_id)).order(log::id);
                of_request.limit(MOST_ACTIONS).select(ActionRow::as_select()).load(conn)
            })
            .await?;
        Ok(rows.into_iter().map(Action::from).collect())
    }
}

impl<'a> From<&'a Action> for NewAction<'a> {
    fn from(action: &'a Action) -> Self {
        Self {
            timestamp: &action.timestamp,
            source: &action.source,
            session_id: action.session_id.as_deref(),
            correlation_id: &action.correlation_id,
            action: &action.action,
            action_type: &action.action_type,
            target: action.target.as_deref(),
            status: &action.status,
            mode: &action.mode,
            notes: action.notes.as_deref(),
        }
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
