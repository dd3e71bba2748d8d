//! What silence does, written: for all organisations, by whoever comes first.

use std::time::Duration;

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::time;
use vx11_store::{AnyConnection, Scope, StoreError};

use super::super::Control;
use super::super::schema::{unit_events, units};
use super::{Moved, row};
use crate::domain::unit::swept;

/// Most units of one round.
const ROUND: i64 = 200;

/// What a round did.
#[derive(Debug, Default)]
pub(crate) struct SweptUnits {
    /// What was changed.
    pub(crate) moved: Vec<Moved>,
    /// Whether there may be more.
    pub(crate) is_full: bool,
}

impl Control {
    /// Writes what silence of `timeout` has made of units at `now`. Each is a transaction of its own; several replicas
    /// may do this at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn sweep_units(&self, timeout: Duration, now: Timestamp) -> Result<SweptUnits, StoreError> {
        let limit = time::render(now.checked_sub(timeout).unwrap_or(Timestamp::MIN));
        let silent = move |conn: &mut AnyConnection| {
            use units::dsl;
            let silent = units::table.filter(dsl::clock_at.le(limit)).order(dsl::clock_at).limit(ROUND);
            Ok::<_, StoreError>(silent.select((dsl::org_id, dsl::uow_id)).load::<(String, String)>(conn)?)
        };
        let silent = self.database.read(Scope::Platform, silent).await?;
        let mut round = SweptUnits { is_full: silent.len() as i64 == ROUND, moved: Vec::new() };
        for (org, id) in silent {
            let write = move |conn: &mut AnyConnection| {
                let change = row::held(conn, &org, &id)?.and_then(|unit| swept(&unit, timeout, now));
                change.map(|change| row::apply(conn, change)).transpose()
            };
            match self.database.write(Scope::Platform, write).await {
                Ok(moved) => round.moved.extend(moved),
                // One that cannot be written keeps nobody else's from it.
                Err(error) => {
                    tracing::error!(%error, "a unit that is silent cannot be written");
                    round.is_full = false;
                }
            }
        }
        Ok(round)
    }

    /// Removes units whose work was over more than `days` ago, with their history; how many.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn clear_units(&self, days: u32, now: Timestamp) -> Result<u64, StoreError> {
        let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        let before = time::render(now.checked_sub(age).unwrap_or(Timestamp::MIN));
        let mut removed = 0;
        loop {
            let before = before.clone();
            let clear = move |conn: &mut AnyConnection| Ok::<_, StoreError>(clear(conn, &before)?);
            let round = self.database.write(Scope::Platform, clear).await?;
            removed += round;
            if round < ROUND as u64 {
                return Ok(removed);
            }
        }
    }
}

fn clear(conn: &mut AnyConnection, before: &str) -> QueryResult<u64> {
    use units::dsl;
    let ended = units::table.filter(dsl::ended_at.lt(before)).order(dsl::ended_at).limit(ROUND);
    let ids: Vec<(String, String)> = ended.select((dsl::org_id, dsl::uow_id)).load(conn)?;
    for (org, id) in &ids {
        diesel::delete(units::table.find((org, id))).execute(conn)?;
        let events = unit_events::table.filter(unit_events::org_id.eq(org));
        diesel::delete(events.filter(unit_events::uow_id.eq(id))).execute(conn)?;
    }
    Ok(ids.len() as u64)
}
