//! Summaries of how requests went.

use diesel::prelude::*;
use vx11_store::{Connection, StoreError};

use super::schema::performance_minutes as minutes;
use super::{OrgStore, Store};
use crate::domain::minute_summary::MinuteSummary;

impl OrgStore {
    /// The sum of the organisation's every minute from `minute` (such as `2026-11-21T04:05`) on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn performance_since(&self, minute: String) -> Result<MinuteSummary, StoreError> {
        let org = self.org.clone();
        let own = move |conn: &mut Connection| {
            let since = minutes::org_id.eq(org.as_str()).and(minutes::minute.ge(minute));
            minutes::table.filter(since).select(minutes::summary).load(conn)
        };
        self.db.run(own).await.map(sum)
    }
}

impl Store {
    /// The same of all organisations together.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn performance_of_all_since(&self, minute: String) -> Result<MinuteSummary, StoreError> {
        let all = move |conn: &mut Connection| {
            minutes::table.filter(minutes::minute.ge(minute)).select(minutes::summary).load(conn)
        };
        self.db.run(all).await.map(sum)
    }
}

fn sum(rows: Vec<String>) -> MinuteSummary {
    let minutes = rows.iter().filter_map(|text| MinuteSummary::from_json(text));
    minutes.fold(MinuteSummary::default(), |mut sum, minute| {
        sum.merge(minute);
        sum
    })
}
