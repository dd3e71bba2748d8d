//! What came of a report, a heartbeat or a pilot's action.

use vx11_contracts::unit::{Unit, UnitAction, UnitEvent, UnitStatus};

/// What to write, with one `UPDATE … WHERE version = from_version AND heartbeat_at = heard_at`, so that what somebody else
/// wrote in between is never lost.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    /// The version of the row that the change was computed from.
    pub(crate) from_version: i64,
    /// When the unit that the change was computed from was heard of last.
    pub(crate) heard_at: String,
    /// The whole row as it is from now on.
    pub(crate) after: Unit,
    /// What happened, in order: mostly one. Each made the version grow by one.
    pub(crate) events: Vec<UnitEvent>,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step<'a> {
    /// What.
    pub(super) action: UnitAction,
    /// Where the unit stands then.
    pub(super) to: UnitStatus,
    /// Who did it.
    pub(super) by: &'a str,
    /// When, RFC 3339 UTC.
    pub(super) at: &'a str,
    /// The rule that it is about.
    pub(super) rule_id: Option<&'a str>,
    /// Why.
    pub(super) reason: Option<&'a str>,
}

impl Change {
    /// Nothing changed yet.
    pub(super) fn of(stored: &Unit) -> Self {
        Self {
            from_version: stored.version,
            heard_at: stored.heartbeat_at.clone(),
            after: stored.clone(),
            events: Vec::new(),
        }
    }

    /// Moves the unit. What kept it where it was does not keep it any more; whoever stops it says by what.
    pub(super) fn step(&mut self, step: Step<'_>) {
        let unit = &mut self.after;
        let old = std::mem::replace(&mut unit.status, step.to);
        unit.version += 1;
        unit.updated_at = Some(step.at.to_owned());
        unit.reason = step.reason.map(str::to_owned);
        (unit.parked, unit.blocked) = (None, None);
        if step.to == UnitStatus::Active {
            // The clock of its heartbeats begins.
            unit.heartbeat_at = step.at.to_owned();
        }
        if step.to.has_ended() && !old.has_ended() {
            unit.ended_at = Some(step.at.to_owned());
        }
        self.events.push(UnitEvent {
            uow_id: unit.uow_id.clone(),
            action: step.action,
            old_status: Some(old),
            new_status: step.to,
            step: unit.step.clone(),
            by: step.by.to_owned(),
            rule_id: step.rule_id.map(str::to_owned),
            reason: step.reason.map(str::to_owned),
            at: step.at.to_owned(),
            version: unit.version,
        });
    }
}
