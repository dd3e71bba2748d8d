//! The operator's audit trail, and the tail that events are made of.

use vx11_contracts::event::Action;
use vx11_contracts::time;
use vx11_store::StoreError;
use vx11_store::trail::{self, ActionQuery};

use super::OrgStore;

/// A row of the trail, of now: what was done for a request, its class, and how it ended. It is the platform's own, unless
/// it is given another organisation.
pub(crate) fn action(correlation_id: impl Into<String>, action: &str, class: &str, status: &str) -> Action {
    Action {
        timestamp: time::now(),
        source: crate::NAME.to_owned(),
        correlation_id: correlation_id.into(),
        action: action.to_owned(),
        action_type: class.to_owned(),
        status: status.to_owned(),
        mode: "normal".to_owned(),
        ..Action::default()
    }
}

impl OrgStore {
    /// Up to `limit` of the organisation's rows that fit `query`, newest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn list_actions(&self, query: ActionQuery, limit: u32) -> Result<Vec<Action>, StoreError> {
        self.read(move |conn, org| trail::list(conn, org, query, limit)).await
    }

    /// Up to `limit` of the organisation's rows after `id`, oldest first.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn actions_after(&self, id: i64, limit: u32) -> Result<Vec<Action>, StoreError> {
        self.read(move |conn, org| trail::after(conn, org, id, limit)).await
    }
}
