//! `power_policies`: which policies are applied.

use diesel::prelude::*;
use vx11_contracts::time;
use vx11_store::{AnyConnection, StoreError};

use super::Store;
use super::schema::power_policies as policies;

const SOLO_MADRE: &str = "solo_madre";

impl Store {
    /// Whether the policy `solo_madre` is applied.
    pub(crate) async fn is_solo_madre_applied(&self) -> Result<bool, StoreError> {
        let active: Option<bool> =
            self.read(|conn| policies::table.find(SOLO_MADRE).select(policies::active).first(conn).optional()).await?;
        Ok(active.unwrap_or(false))
    }

    /// Applies or releases the policy `solo_madre`.
    pub(crate) async fn set_solo_madre(&self, is_applied: bool) -> Result<(), StoreError> {
        self.write(move |conn| {
            let set = (policies::active.eq(is_applied), policies::updated_at.eq(time::now()));
            let insert = diesel::insert_into(policies::table).values((policies::policy.eq(SOLO_MADRE), set.clone()));
            let upsert = insert.on_conflict(policies::policy).do_update().set(set);
            match conn {
                AnyConnection::Postgres(conn) => upsert.execute(conn),
                AnyConnection::Sqlite(conn) => upsert.execute(conn),
            }
            .map(drop)
        })
        .await
    }
}
