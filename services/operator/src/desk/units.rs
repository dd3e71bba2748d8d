//! Units of work at the desk: what agents report and pilots do is kept, and everybody who listens is told.

use std::time::Duration;

use jiff::Timestamp;
use vx11_chassis::Shutdown;
use vx11_contracts::identity::Principal;
use vx11_contracts::intervention::Push;
use vx11_contracts::unit::{Cancelled, Outcome, Paused, RegisterUnit, Reported, Transition, Unit, UnitEvent};

use super::trail::owner;
use super::{Desk, trail};
use crate::bus::Hint;
use crate::control::{Done, Moved, Report, UnitError, Units};
use crate::domain::intervention::Actor;
use crate::domain::unit::{PilotAction, Registered, register};
use crate::feed::Pushed;
use crate::hub::News;

/// Most units that the answer to a kill switch shows.
const SHOWN: usize = 100;

impl Desk {
    /// The units of a caller's organisation.
    pub(crate) fn units(&self, principal: &Principal) -> Units {
        self.control.units(principal.org.as_str())
    }

    /// Registers a unit in the organisation of `principal`. `asked` has been validated.
    ///
    /// # Errors
    /// Why it was not registered.
    pub(crate) async fn register(
        &self,
        principal: &Principal,
        asked: RegisterUnit,
        correlation_id: String,
    ) -> Result<Unit, UnitError> {
        let who = Registered {
            org_id: principal.org.as_str().to_owned(),
            by: principal.subject.as_ref().to_owned(),
            uow_id: uuid::Uuid::now_v7().to_string(),
            correlation_id: Some(correlation_id),
        };
        let (unit, event) = register(asked, who, Timestamp::now());
        self.units(principal).register(unit.clone(), event.clone()).await?;
        self.tell_units(vec![Moved { unit: unit.clone(), events: vec![event] }]);
        Ok(unit)
    }

    /// Decides what `principal` reports that its unit is about to do. `asked` has been validated.
    ///
    /// # Errors
    /// Why nothing was decided.
    pub(crate) async fn report(
        &self,
        principal: &Principal,
        id: &str,
        asked: Transition,
        correlation_id: String,
    ) -> Result<Reported, UnitError> {
        let request_id = uuid::Uuid::now_v7().to_string();
        let report = Report { asked, request_id, correlation_id: Some(correlation_id) };
        let (done, verdict) = self.units(principal).report(id, report, actor(principal), Timestamp::now()).await?;
        if verdict.outcome == Outcome::Parked {
            self.metrics.asked();
        }
        let unit = self.announce_done(done).ok_or(UnitError::NotFound)?;
        Ok(Reported { verdict, unit })
    }

    /// Notes that a unit lives.
    ///
    /// # Errors
    /// Why it was not noted.
    pub(crate) async fn heartbeat(&self, principal: &Principal, id: &str) -> Result<Unit, UnitError> {
        let (unit, moved) = self.units(principal).heartbeat(id, actor(principal), Timestamp::now()).await?;
        self.tell_units(moved.into_iter().collect());
        Ok(unit)
    }

    /// Carries out what a pilot does with a unit.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn pilot(
        &self,
        principal: &Principal,
        by: Actor,
        id: &str,
        action: PilotAction,
    ) -> Result<Unit, UnitError> {
        let done = self.units(principal).pilot(id, action, by, Timestamp::now()).await?;
        self.announce_done(done).ok_or(UnitError::NotFound)
    }

    /// Ends a unit, and withdraws what waits for a decision about it.
    ///
    /// # Errors
    /// Why nothing was changed.
    pub(crate) async fn cancel(
        &self,
        principal: &Principal,
        by: Actor,
        id: &str,
        reason: String,
    ) -> Result<Cancelled, UnitError> {
        let done = self.units(principal).pilot(id, PilotAction::Cancel { reason }, by, Timestamp::now()).await?;
        let withdrawn = done.changed.iter().map(|changed| changed.after.request_id.clone()).collect();
        Ok(Cancelled { uow_id: id.to_owned(), unit: self.announce_done(done), withdrawn })
    }

    /// Pauses every unit of an instance that works or may begin to.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn kill(
        &self,
        principal: &Principal,
        by: Actor,
        instance: &str,
        reason: &str,
    ) -> Result<Paused, UnitError> {
        let moved = self.units(principal).kill(instance, reason, by, Timestamp::now()).await?;
        let units = moved.iter().take(SHOWN).map(|moved| moved.unit.clone()).collect();
        let paused = Paused { instance_id: instance.to_owned(), paused: moved.len() as u64, units };
        self.tell_units(moved);
        Ok(paused)
    }

    /// Looks for units that are silent, until the service stops.
    pub(crate) async fn sweep_units(self, timeout: Duration, every: Duration, shutdown: Shutdown) {
        while !shutdown.has_begun() {
            match self.control.sweep_units(timeout, Timestamp::now()).await {
                Ok(swept) => {
                    self.tell_units(swept.moved);
                    if swept.is_full {
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "units that are silent wait for the database"),
            }
            let _ = tokio::time::timeout(every, shutdown.begun()).await;
        }
    }

    /// Tells of everything that one change brought; the unit that it was about.
    fn announce_done(&self, done: Done) -> Option<Unit> {
        let unit = done.moved.first().map(|moved| moved.unit.clone());
        self.tell_units(done.moved);
        if let Some(request) = done.opened {
            self.tell(News { request: *request, transitions: Vec::new() });
        }
        done.changed.into_iter().for_each(|changed| drop(self.announce(changed)));
        unit
    }

    /// Tells of units that something happened to.
    pub(super) fn tell_units(&self, moved: Vec<Moved>) {
        for moved in moved {
            self.metrics.happened_to_unit(&moved.events);
            trail::leave_unit(&self.trail, &moved);
            for event in &moved.events {
                self.unit_hub.tell(&moved.unit.org_id, || pushed(&moved.unit, event));
                self.bus.tell(|| Hint::Unit { org: owner(&moved.unit.org_id), push: pushed(&moved.unit, event).raw() });
            }
        }
    }
}

/// What dashboards are sent of something that happened to `unit`.
fn pushed(unit: &Unit, event: &UnitEvent) -> Pushed {
    Pushed::new(Push::UnitStatusChanged {
        instance_id: unit.instance_id.clone(),
        title: unit.title.clone(),
        event: Box::new(event.clone()),
    })
}

fn actor(principal: &Principal) -> Actor {
    Actor::new(principal.subject.as_ref(), principal.role)
}
