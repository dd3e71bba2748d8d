//! What time changes, written: for all organisations, by whoever comes first.

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::intervention::{Intervention, Status};
use vx11_contracts::time;
use vx11_store::{AnyConnection, Scope, StoreError};

use super::counts;
use super::interventions::{Changed, DecideError, carry_out, find};
use super::schema::{idempotency_keys, intervention_history, interventions};
use super::{Control, deliveries, row};
use crate::domain::intervention::{Actor, Command, Refusal, decide, seen_at};

/// Most requests of one round.
const ROUND: i64 = 200;

/// What a round of the sweeper did.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// What was changed.
    pub(crate) changed: Vec<Changed>,
    /// Whether there may be more.
    pub(crate) is_full: bool,
}

impl Control {
    /// Writes what is due at `now`: requests expire, are approved or escalated as they want it, and claims lapse. Each
    /// is a transaction of its own; several replicas may do this at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn mark_expired(&self, now: Timestamp) -> Result<Swept, StoreError> {
        let due = self.due(now).await?;
        let mut swept = Swept { is_full: due.len() as i64 == ROUND, changed: Vec::new() };
        for (org, id) in due {
            let write = move |conn: &mut AnyConnection| settle(conn, &org, &id, now);
            match self.database.write(Scope::Platform, write).await {
                Ok(changed) => swept.changed.extend(changed),
                // One that cannot be written keeps nobody else's from it.
                Err(DecideError::Store(error)) => {
                    tracing::error!(%error, "an intervention that is due cannot be written");
                    swept.is_full = false;
                }
                // Somebody was faster.
                Err(DecideError::NotFound | DecideError::Refused { .. } | DecideError::Unit(_)) => {}
            }
        }
        Ok(swept)
    }

    async fn due(&self, now: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
        use interventions::dsl;
        let at = time::render(now);
        let due = move |conn: &mut AnyConnection| {
            let due = interventions::table.filter(dsl::due_at.le(at)).order(dsl::due_at).limit(ROUND);
            Ok::<_, StoreError>(due.select((dsl::org_id, dsl::request_id)).load(conn)?)
        };
        self.database.read(Scope::Platform, due).await
    }

    /// Removes what ended more than `days` ago, and idempotency keys and webhooks of that age; how many requests that were.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn clear_archived(&self, days: u32, now: Timestamp) -> Result<u64, StoreError> {
        let age = std::time::Duration::from_secs(u64::from(days) * 24 * 60 * 60);
        let before = time::render(now.checked_sub(age).unwrap_or(Timestamp::MIN));
        let mut removed = 0;
        loop {
            let before = before.clone();
            let round =
                self.database.write(Scope::Platform, move |conn| Ok::<_, StoreError>(clear(conn, &before)?)).await?;
            removed += round;
            if round < ROUND as u64 {
                break;
            }
        }
        Ok(removed)
    }

    /// Adds up what has changed since the last time. Several replicas may do this at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn fold_counts(&self) -> Result<(), StoreError> {
        let fold = |conn: &mut AnyConnection| Ok::<_, StoreError>(counts::fold(conn)?);
        while self.database.write(Scope::Platform, fold).await? {}
        Ok(())
    }
}

/// Writes what time has made of a request; nothing where it is not due, or somebody was faster.
pub(super) fn settle(
    conn: &mut AnyConnection,
    org: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Changed>, DecideError> {
    let stored = find(conn, org, id)?.ok_or(DecideError::NotFound)?;
    let (actor, command) = (Actor::timeout(), Command::Expire);
    match decide(&stored, &command, &actor, now) {
        Ok(change) => carry_out(conn, &stored, change, (&actor, &command), now),
        Err(Refusal::NotDue) => {
            lapse(conn, &stored, now)?;
            Ok(None)
        }
        Err(refusal) => Err(refusal.into()),
    }
}

/// A claim that lapsed is gone without a change of version: what its pilot saw is still there.
fn lapse(conn: &mut AnyConnection, stored: &Intervention, now: Timestamp) -> QueryResult<()> {
    use interventions::dsl;
    let after = seen_at(stored, now);
    if after == *stored {
        return Ok(());
    }
    let same = interventions::table
        .filter(dsl::org_id.eq(&stored.org_id))
        .filter(dsl::request_id.eq(&stored.request_id))
        .filter(dsl::version.eq(stored.version))
        .filter(dsl::status.eq(Status::InProgress.as_str()));
    if diesel::update(same).set(&row::Row::of(&after)?).execute(conn)? == 1 {
        counts::moved(conn, &after, stored.status, None)?;
    }
    Ok(())
}

/// One round of removing what ended before a time.
fn clear(conn: &mut AnyConnection, before: &str) -> QueryResult<u64> {
    use interventions::dsl;
    let ended = interventions::table.filter(dsl::ended_at.lt(before)).order(dsl::ended_at).limit(ROUND);
    let rows: Vec<(String, String, String)> = ended.select((dsl::org_id, dsl::request_id, dsl::record)).load(conn)?;
    for (org, id, record) in &rows {
        let is_removed = diesel::delete(interventions::table.find((org, id))).execute(conn)? == 1;
        match row::read(record) {
            Ok(request) if is_removed => counts::removed(conn, &request)?,
            Ok(_) => {}
            // It goes all the same: what cannot be read must not keep what is old.
            Err(error) => tracing::error!(%error, org, id, "an old intervention could not be read"),
        }
        diesel::delete(intervention_history::table.find((org, id))).execute(conn)?;
    }
    diesel::delete(idempotency_keys::table.filter(idempotency_keys::created_at.lt(before))).execute(conn)?;
    deliveries::clear(conn, before)?;
    Ok(rows.len() as u64)
}
