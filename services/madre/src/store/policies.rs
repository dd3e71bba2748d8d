//! `power_policies`: which policies are applied.

use diesel::prelude::*;
use vx11_contracts::time;
use vx11_store::StoreError;

use super::Store;
use super::schema::power_policies as policies;

const SOLO_MADRE: &str = "solo_madre";

impl Store {
    /// Whether the policy `solo_madre` is applied.
    pub(crate) async fn is_solo_madre_applied(&self) -> Result<bool, StoreError> {
        let active: Option<bool> = self
            .db
            .run(|conn| policies::table.find(SOLO_MADRE).select(policies::active).first(conn).optional())
            .await?;
        Ok(active.unwrap_or(false))
    }

    /// Applies or releases the policy `solo_madre`.
    pub(crate) async fn set_solo_madre(&self, is_applied: bool) -> Result<(), StoreError> {
        self.db
            .run(move |conn| {
                let row = (
                    policies::policy.eq(SOLO_MADRE),
                    policies::active.eq(is_applied),
                    policies::updated_at.eq(time::now()),
                );
                diesel::replace_into(policies::table).values(row).execute(conn).map(drop)
            })
            .await
    }
}
