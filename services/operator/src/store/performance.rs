//! Summaries of how requests went.

use diesel::prelude::*;
use vx11_store::StoreError;

use super::Store;
use super::schema::performance_minutes as minutes;
use crate::domain::minute_summary::MinuteSummary;

impl Store {
    /// The sum of every minute from `minute` (such as `2026-11-21T04:05`) on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub(crate) async fn performance_since(&self, minute: String) -> Result<MinuteSummary, StoreError> {
        let rows: Vec<String> = self
            .db
            .run(move |conn| minutes::table.filter(minutes::minute.ge(minute)).select(minutes::summary).load(conn))
            .await?;
        Ok(rows.iter().filter_map(|text| MinuteSummary::from_json(text)).fold(
            MinuteSummary::default(),
            |mut sum, minute| {
                sum.merge(minute);
                sum
            },
        ))
    }
}
