//! A unit at its beginning.

use jiff::Timestamp;
use vx11_contracts::time;
use vx11_contracts::unit::{RegisterUnit, Unit, UnitAction, UnitEvent, UnitStatus};

/// Who registers a unit, and where.
#[derive(Clone, Debug)]
pub(crate) struct Registered {
    /// The organisation of the principal.
    pub(crate) org_id: String,
    /// The subject of the principal.
    pub(crate) by: String,
    /// The id for a unit that brings none.
    pub(crate) uow_id: String,
    /// The request's id in logs and in the audit trail.
    pub(crate) correlation_id: Option<String>,
}

/// The unit as it is stored first, and what its history begins with. `asked` has been validated.
pub(crate) fn register(asked: RegisterUnit, who: Registered, now: Timestamp) -> (Unit, UnitEvent) {
    let at = time::render(now);
    let unit = Unit {
        uow_id: asked.uow_id.unwrap_or(who.uow_id),
        org_id: who.org_id,
        instance_id: asked.instance_id,
        title: asked.title,
        status: UnitStatus::Pending,
        step: None,
        data: asked.data,
        rules: asked.rules,
        created_by: who.by.clone(),
        created_at: at.clone(),
        updated_at: None,
        heartbeat_at: at.clone(),
        ended_at: None,
        reason: None,
        parked: None,
        blocked: None,
        passes: Vec::new(),
        clarification: None,
        correlation_id: who.correlation_id,
        version: 1,
    };
    let event = UnitEvent {
        uow_id: unit.uow_id.clone(),
        action: UnitAction::Registered,
        old_status: None,
        new_status: unit.status,
        step: None,
        by: who.by,
        rule_id: None,
        reason: None,
        at,
        version: 1,
    };
    (unit, event)
}
