//! Summaries of how requests went.

use diesel::connection::DefaultLoadingMode;
use diesel::prelude::*;
use vx11_store::{AnyConnection, Scope, StoreError};

use super::schema::performance_minutes as minutes;
use super::{OrgStore, Store};
use crate::domain::minute_summary::MinuteSummary;

impl OrgStore {
    /// The sum of the organisation's every minute from `minute` (such as `2026-11-21T04:05`) on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn performance_since(&self, minute: String) -> Result<MinuteSummary, StoreError> {
        self.read(move |conn, org| {
            let since = minutes::org_id.eq(org.as_str()).and(minutes::minute.ge(minute));
            let rows = minutes::table.filter(since).select(minutes::summary);
            sum(rows.load_iter::<String, DefaultLoadingMode>(conn)?)
        })
        .await
    }
}

impl Store {
    /// The same of all organisations together.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn performance_of_all_since(&self, minute: String) -> Result<MinuteSummary, StoreError> {
        let all = move |conn: &mut AnyConnection| {
            let rows = minutes::table.filter(minutes::minute.ge(minute)).select(minutes::summary);
            Ok(sum(rows.load_iter::<String, DefaultLoadingMode>(conn)?)?)
        };
        self.database.read(Scope::Platform, all).await
    }
}

/// The sum of `rows`, of which one is in memory at a time: a day of many organisations is many.
fn sum(rows: impl Iterator<Item = QueryResult<String>>) -> QueryResult<MinuteSummary> {
    let mut sum = MinuteSummary::default();
    for row in rows {
        if let Some(minute) = MinuteSummary::from_json(&row?) {
            sum.merge(minute);
        }
    }
    Ok(sum)
}
