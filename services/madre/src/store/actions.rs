//! Madre's audit trail.

use vx11_contracts::event::Action;
use vx11_contracts::identity::OrgId;
use vx11_store::StoreError;
use vx11_store::trail::{self, ActionQuery};

use super::Store;

/// Rows of one request's trail that are listed at most.
const MOST_ACTIONS: u32 = 1000;

impl Store {
    /// The trail of one request of an organisation, oldest first; where it is too long, its newest rows.
    pub(crate) async fn actions_of(&self, org: OrgId, correlation_id: String) -> Result<Vec<Action>, StoreError> {
        let of_request = ActionQuery { correlation_id: Some(correlation_id), ..ActionQuery::default() };
        let mut rows = self.read_of(&org, move |conn, org| trail::list(conn, org, of_request, MOST_ACTIONS)).await?;
        rows.reverse();
        Ok(rows)
    }
}
