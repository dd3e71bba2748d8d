//! The units of work of one organisation, and the rules that hold for them.
//!
//! Whoever changes a unit holds its row until the change is kept, and locks units before interventions: so of all who
//! race each meets what the one before left, and nobody waits for somebody who waits for them.

mod effect;
mod list;
mod row;
mod rules;
mod sweep;

use std::sync::Arc;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use jiff::Timestamp;
use vx11_contracts::intervention::{AnswerFormat, DecisionBody, Intervention, Role};
use vx11_contracts::time;
use vx11_contracts::unit::{
    ListUnits, Transition, UNITS_OF_INSTANCE, Unit, UnitCursor, UnitDetail, UnitEvent, UnitStatus, Verdict,
};
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::audit;
use super::interventions::{self, Changed, DecideError};
use super::schema::units;
use crate::domain::audit::Entry;
use crate::domain::intervention::{Actor, Asked, Command, open, seen_at};
use crate::domain::unit::{Beat, PilotAction, Refusal, act, heartbeat, parking, report};
pub(super) use effect::{Withdraws, carry_out, plan};

/// The units of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct Units {
    database: Database,
    org: Arc<str>,
}

/// A unit that something happened to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Moved {
    /// The unit as it is now.
    pub(crate) unit: Unit,
    /// What happened, in order.
    pub(crate) events: Vec<UnitEvent>,
}

/// Everything that one change brought with it.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// The units.
    pub(crate) moved: Vec<Moved>,
    /// The intervention that was opened.
    pub(crate) opened: Option<Box<Intervention>>,
    /// Those that were decided or withdrawn.
    pub(crate) changed: Vec<Changed>,
}

/// A report that is to be decided.
#[derive(Debug)]
pub(crate) struct Report {
    /// What the unit is about to do.
    pub(crate) asked: Transition,
    /// The id of the intervention that is opened where it is parked.
    pub(crate) request_id: String,
    /// The HTTP request.
    pub(crate) correlation_id: Option<String>,
}

/// Why nothing was done to a unit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnitError {
    /// There is none of this id in this organisation.
    #[error("there is no such unit")]
    NotFound,
    /// There is one of this id.
    #[error("there is a unit of this id")]
    Exists,
    /// The instance has as many as it may.
    #[error("the instance has {UNITS_OF_INSTANCE} units that have not ended")]
    Full,
    /// The state machine refuses it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The intervention that it needs cannot be decided so.
    #[error(transparent)]
    Decision(DecideError),
    /// The database does not answer, or refuses a query.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Error> for UnitError {
    fn from(error: Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<DecideError> for UnitError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::Unit(refusal) => Self::Refused(refusal),
            DecideError::Store(error) => Self::Store(error),
            error => Self::Decision(error),
        }
    }
}

impl Units {
    pub(super) fn new(database: Database, org: Arc<str>) -> Self {
        Self { database, org }
    }

    /// Keeps a unit that is new.
    ///
    /// # Errors
    /// That there is one of its id, that its instance has too many, or that the database does not answer.
    pub(crate) async fn register(&self, unit: Unit, event: UnitEvent) -> Result<(), UnitError> {
        let org = self.org.clone();
        let write = move |conn: &mut AnyConnection| {
            use units::dsl;
            if row::find(conn, &org, &unit.uow_id)?.is_some() {
                return Err(UnitError::Exists);
            }
            let live = units::table
                .filter(dsl::org_id.eq(&*org))
                .filter(dsl::instance_id.eq(&unit.instance_id))
                .filter(dsl::status.eq_any(live()));
            // Counts no further than it has to.
            let counted: Vec<String> = live.select(dsl::uow_id).limit(i64::from(UNITS_OF_INSTANCE)).load(conn)?;
            if counted.len() >= UNITS_OF_INSTANCE as usize {
                return Err(UnitError::Full);
            }
            match row::insert(conn, &unit, &event) {
                Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Err(UnitError::Exists),
                inserted => Ok(inserted?),
            }
        };
        self.database.write(self.scope(), write).await
    }

    /// A unit with what happened to it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<UnitDetail>, StoreError> {
        let (org, id) = (self.org.clone(), id.to_owned());
        let read = move |conn: &mut AnyConnection| {
            let Some(unit) = row::find(conn, &org, &id)? else { return Ok(None) };
            Ok::<_, StoreError>(Some(UnitDetail { unit, history: row::events(conn, &org, &id)? }))
        };
        self.database.read(self.scope(), read).await
    }

    /// A page of units, the newest first, and where the next one begins.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn list(
        &self,
        query: ListUnits,
        after: Option<UnitCursor>,
    ) -> Result<(Vec<Unit>, Option<String>), StoreError> {
        let org = self.org.clone();
        let read = move |conn: &mut AnyConnection| Ok::<_, StoreError>(list::page(conn, &org, &query, after.as_ref())?);
        self.database.read(self.scope(), read).await
    }

    /// Decides a report by all rules. What is parked opens its intervention with it.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn report(
        &self,
        id: &str,
        report: Report,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(Done, Verdict), UnitError> {
        let (org, id) = (self.org.clone(), id.to_owned());
        let write = move |conn: &mut AnyConnection| decide(conn, &org, &id, &report, &actor, now);
        self.database.write(self.scope(), write).await
    }

    /// Notes that a unit lives; the unit as it is then, and what that changed.
    ///
    /// # Errors
    /// That its work is over, whatever its agent believes; or why else it was not noted.
    pub(crate) async fn heartbeat(
        &self,
        id: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(Unit, Option<Moved>), UnitError> {
        let (org, id) = (self.org.clone(), id.to_owned());
        let write = move |conn: &mut AnyConnection| {
            let mut unit = row::held(conn, &org, &id)?.ok_or(UnitError::NotFound)?;
            match heartbeat(&unit, &actor, now)? {
                Beat::Heard => {
                    unit.heartbeat_at = time::render(now).max(unit.heartbeat_at);
                    row::heard(conn, &unit)?;
                    Ok((unit, None))
                }
                Beat::Revived(change) => {
                    let moved = row::apply(conn, *change)?;
                    Ok((moved.unit.clone(), Some(moved)))
                }
            }
        };
        self.database.write(self.scope(), write).await
    }

    /// Carries out what a pilot does with one unit.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn pilot(
        &self,
        id: &str,
        action: PilotAction,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Done, UnitError> {
        let (org, id) = (self.org.clone(), id.to_owned());
        let write = move |conn: &mut AnyConnection| {
            let done = piloted(conn, &org, &id, &action, &actor, now)?;
            audit::append(conn, &org, &action.entry(&id, &actor, now))?;
            Ok(done)
        };
        self.database.write(self.scope(), write).await
    }

    /// Pauses every unit of an instance that works or may begin to.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn kill(
        &self,
        instance: &str,
        reason: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Vec<Moved>, UnitError> {
        let (org, instance, reason) = (self.org.clone(), instance.to_owned(), reason.to_owned());
        let entry = Entry::done(&actor, "instance.kill_switch", time::render(now)).to("instance", &instance);
        let write = move |conn: &mut AnyConnection| {
            let changes = effect::kill(conn, &org, &instance, &reason, &actor.subject, now)?;
            let moved = changes.into_iter().map(|change| row::apply(conn, change));
            let moved = moved.collect::<Result<Vec<_>, StoreError>>()?;
            audit::append(conn, &org, &entry.with("paused", moved.len()))?;
            Ok(moved)
        };
        self.database.write(self.scope(), write).await
    }

    fn scope(&self) -> Scope {
        Scope::Org(self.org.clone())
    }
}

/// The statuses of units whose work is not over.
fn live() -> Vec<&'static str> {
    UnitStatus::ALL.iter().filter(|status| !status.has_ended()).map(|status| status.as_str()).collect()
}

fn decide(
    conn: &mut AnyConnection,
    org: &str,
    id: &str,
    asked: &Report,
    actor: &Actor,
    now: Timestamp,
) -> Result<(Done, Verdict), UnitError> {
    let unit = row::held(conn, org, id)?.ok_or(UnitError::NotFound)?;
    let rules = rules::all(conn, org)?;
    let (change, verdict) = report(&unit, &asked.asked, &rules, actor, &asked.request_id, now)?;
    let request = change.after.parked.as_ref().map(|hold| {
        let asked = Asked {
            org_id: org.to_owned(),
            by: actor.subject.clone(),
            request_id: asked.request_id.clone(),
            correlation_id: asked.correlation_id.clone(),
            format: AnswerFormat::Vx11,
        };
        open(parking(&change.after, hold), asked, now)
    });
    let withdraws = if actor.role >= Role::Admin { Withdraws::All } else { Withdraws::Own };
    let mut done = carry_out(conn, vec![change], (actor, withdraws), now)?;
    if let Some(request) = request {
        interventions::insert(conn, org, &request, None)?;
        done.opened = Some(Box::new(request));
    }
    Ok((done, verdict))
}

fn piloted(
    conn: &mut AnyConnection,
    org: &str,
    id: &str,
    action: &PilotAction,
    actor: &Actor,
    now: Timestamp,
) -> Result<Done, UnitError> {
    let Some(unit) = row::held(conn, org, id)? else {
        return effect::unregistered(conn, org, id, action, actor, now);
    };
    if let PilotAction::Resume { reason } = action {
        let asked_by = match unit.parked.as_ref().and_then(|hold| hold.request_id.clone()) {
            None if unit.status == UnitStatus::Pending => effect::approval_of(conn, org, &unit)?,
            asked_by => asked_by,
        };
        if let Some(request) = asked_by {
            return resume(conn, org, &request, unit, reason.clone(), actor, now);
        }
    }
    let change = act(&unit, action, &actor.subject, now)?;
    Ok(carry_out(conn, vec![change], (actor, Withdraws::All), now)?)
}

/// Resumes `unit` by approving the intervention that it is parked for, or waits for, which does the rest: so that it is
/// decided once, whichever way a pilot takes.
fn resume(
    conn: &mut AnyConnection,
    org: &str,
    request: &str,
    unit: Unit,
    reason: Option<String>,
    actor: &Actor,
    now: Timestamp,
) -> Result<Done, UnitError> {
    let stored = interventions::find(conn, org, request)?.ok_or(UnitError::Decision(DecideError::NotFound))?;
    let body = DecisionBody { version: seen_at(&stored, now).version, args_digest: None, reason };
    let decided = interventions::decide_in(conn, org, request, &Command::Approve(body), actor, now)?;
    let mut changed = decided.map_err(|(refusal, _)| DecideError::from(refusal))?;
    let mut moved = std::mem::take(&mut changed.units);
    if moved.is_empty() {
        // A plan goes on when madre has heard of it.
        moved.push(Moved { unit, events: Vec::new() });
    }
    Ok(Done { moved, opened: None, changed: vec![changed] })
}
