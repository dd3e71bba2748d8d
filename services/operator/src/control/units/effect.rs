//! What a decision does to units, and what the end of a unit does to decisions: in one transaction.

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::intervention::{CancelBody, InterventionType, Role, Status};
use vx11_contracts::unit::{Unit, UnitStatus};
use vx11_store::AnyConnection;

use super::super::interventions::{self, Changed, DecideError};
use super::super::schema::{interventions as requests, units};
use super::{Done, UnitError, row};
use crate::domain::intervention::{self as deciding, Actor, Command, decide};
use crate::domain::unit::{Change, Effect, KILLED, Needs, PilotAction, act, applied, effect};

/// Most open interventions that are withdrawn with their unit.
const WITHDRAWN: i64 = 100;

/// What the decision in `change` does to units, which are held from now on. `change` says then that it was done.
///
/// # Errors
/// That the unit stands where this is not possible: nothing is decided then.
pub(in crate::control) fn plan(
    conn: &mut AnyConnection,
    org: &str,
    change: &mut deciding::Change,
    now: Timestamp,
) -> Result<Vec<Change>, DecideError> {
    let Some(effect) = effect(change) else { return Ok(Vec::new()) };
    let Some(by) = decider(change) else { return Ok(Vec::new()) };
    let changes = match effect {
        Effect::Instance { instance_id, reason } => kill(conn, org, &instance_id, &reason, &by, now)?,
        Effect::Unit { uow_id, action, needs } => {
            let Some(unit) = row::held(conn, org, &uow_id)? else { return Ok(Vec::new()) };
            let asked_by = unit.parked.as_ref().and_then(|hold| hold.request_id.as_deref());
            if needs == Needs::Own && asked_by != Some(change.after.request_id.as_str()) {
                return Ok(Vec::new());
            }
            match act(&unit, &action, &by, now) {
                Ok(change) => vec![change],
                Err(refusal) if needs == Needs::Fit => return Err(refusal.into()),
                Err(_) => return Ok(Vec::new()),
            }
        }
    };
    applied(change);
    Ok(changes)
}

fn decider(change: &deciding::Change) -> Option<String> {
    let decision = change.after.decision.as_ref().map(|decision| decision.by.clone());
    decision.or_else(|| change.transitions.last().map(|step| step.by.clone()))
}

/// A kill switch: what it makes of every unit of an instance that works or may begin to, which are held from now on, in one order.
pub(super) fn kill(
    conn: &mut AnyConnection,
    org: &str,
    instance: &str,
    reason: &str,
    by: &str,
    now: Timestamp,
) -> QueryResult<Vec<Change>> {
    use units::dsl;
    let working = units::table
        .filter(dsl::org_id.eq(org))
        .filter(dsl::instance_id.eq(instance))
        .filter(dsl::status.eq_any(KILLED.map(UnitStatus::as_str)));
    let ids: Vec<String> = working.order(dsl::uow_id).select(dsl::uow_id).load(conn)?;
    let action = PilotAction::KillSwitch { reason: reason.to_owned() };
    let mut changes = Vec::with_capacity(ids.len());
    for id in ids {
        let unit = row::held(conn, org, &id)?;
        // One that is none of these any more has stopped by itself.
        changes.extend(unit.and_then(|unit| act(&unit, &action, by, now).ok()));
    }
    Ok(changes)
}

/// What whoever ends a unit may withdraw with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::control) enum Withdraws {
    /// What one could withdraw alone: an agent does not get at others' requests by naming a unit like theirs.
    Own,
    /// Whatever asks about it: a pilot has ended it.
    All,
}

/// Writes `changes`, which `actor` made. What asks for decisions on a unit that has failed is withdrawn: there is nothing
/// left to decide.
pub(in crate::control) fn carry_out(
    conn: &mut AnyConnection,
    changes: Vec<Change>,
    by: (&Actor, Withdraws),
    now: Timestamp,
) -> Result<Done, DecideError> {
    let mut done = Done::default();
    for change in changes {
        let moved = row::apply(conn, change)?;
        if moved.unit.status == UnitStatus::Failed {
            let last = moved.events.last();
            let reason = last.and_then(|event| event.reason.as_deref()).unwrap_or("no reason was given");
            let reason = format!("the unit has failed: {reason}");
            done.changed.extend(withdraw(conn, (&moved.unit.org_id, &moved.unit.uow_id), by, (&reason, now))?);
        }
        done.moved.push(moved);
    }
    Ok(done)
}

/// What can be done to a unit that is not registered here, such as a plan of madre's: what asks for decisions on it is
/// withdrawn, and whoever asked ends it.
pub(super) fn unregistered(
    conn: &mut AnyConnection,
    org: &str,
    id: &str,
    action: &PilotAction,
    by: &Actor,
    now: Timestamp,
) -> Result<Done, UnitError> {
    let PilotAction::Cancel { reason } = action else { return Err(UnitError::NotFound) };
    let reason = format!("the unit is cancelled: {reason}");
    let changed = withdraw(conn, (org, id), (by, Withdraws::All), (&reason, now))?;
    if changed.is_empty() { Err(UnitError::NotFound) } else { Ok(Done { changed, ..Done::default() }) }
}

/// What a unit that has not begun waits for: the approval of the plan that it is, which whoever registered it asked for.
pub(super) fn approval_of(conn: &mut AnyConnection, org: &str, unit: &Unit) -> Result<Option<String>, UnitError> {
    use requests::dsl;
    let open = requests::table
        .filter(dsl::org_id.eq(org))
        .filter(dsl::uow_id.eq(&unit.uow_id))
        .filter(dsl::intervention_type.eq(InterventionType::PLAN))
        .filter(dsl::status.eq_any([Status::Pending.as_str(), Status::InProgress.as_str()]));
    let ids: Vec<String> = open.order(dsl::request_id).limit(WITHDRAWN).select(dsl::request_id).load(conn)?;
    for id in ids {
        let asked = interventions::find(conn, org, &id)?;
        if asked.is_some_and(|asked| asked.created_by == unit.created_by) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

fn withdraw(
    conn: &mut AnyConnection,
    (org, unit): (&str, &str),
    (by, withdraws): (&Actor, Withdraws),
    (reason, now): (&str, Timestamp),
) -> Result<Vec<Changed>, DecideError> {
    use requests::dsl;
    let open = requests::table
        .filter(dsl::org_id.eq(org))
        .filter(dsl::uow_id.eq(unit))
        .filter(dsl::status.eq_any([Status::Pending.as_str(), Status::InProgress.as_str()]));
    let ids: Vec<String> = open.order(dsl::request_id).limit(WITHDRAWN).select(dsl::request_id).load(conn)?;
    let reason = reason.chars().take(vx11_contracts::intervention::REASON_CHARS).collect();
    let command = Command::Cancel(CancelBody { reason: Some(reason) });
    let acting = match withdraws {
        Withdraws::Own => by.clone(),
        Withdraws::All => Actor { role: Role::Admin, ..by.clone() },
    };
    let mut withdrawn = Vec::new();
    for id in ids {
        let Some(stored) = interventions::find(conn, org, &id)? else { continue };
        let Ok(change) = decide(&stored, &command, &acting, now) else { continue };
        // One that is decided at this moment is its decider's.
        if interventions::apply(conn, &stored, &change, (by, command.name()))? {
            withdrawn.push(Changed::alone(change));
        }
    }
    Ok(withdrawn)
}
