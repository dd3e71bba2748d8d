//! What an agent reports that its unit is about to do.

use jiff::Timestamp;
use serde_json::{Map, Value};
use vx11_contracts::intervention::Role;
use vx11_contracts::time;
use vx11_contracts::unit::{GuardRule, Hold, Outcome, Transition, Unit, UnitAction, UnitStatus, Verdict, check_data};

use super::alive::revive;
use super::change::{Change, Step};
use super::judge::{Ruling, judge};
use super::refusal::Refusal;
use crate::domain::intervention::Actor;

/// What `asked` makes of `unit`, by the organisation's `rules` and its own. What is parked waits for the intervention
/// `request_id`.
///
/// # Errors
/// Why it changes nothing.
pub(crate) fn report(
    unit: &Unit,
    asked: &Transition,
    rules: &[GuardRule],
    actor: &Actor,
    request_id: &str,
    now: Timestamp,
) -> Result<(Change, Verdict), Refusal> {
    is_author(unit, actor)?;
    let at = time::render(now);
    let mut on = On { change: Change::of(unit), asked, by: &actor.subject, at: &at };
    match asked.to() {
        to @ (UnitStatus::Failed | UnitStatus::Archived) => on.end(to)?,
        to => {
            let data = on.begin(to)?;
            let ruling = judge(&on.change.after, asked, &data, rules, now);
            return Ok(on.follow(ruling, data, request_id));
        }
    }
    Ok((on.change, allowed("no rule keeps a unit from ending")))
}

/// Whether `actor` registered the unit, or is an ADMIN.
pub(super) fn is_author(unit: &Unit, actor: &Actor) -> Result<(), Refusal> {
    if unit.created_by == actor.subject || actor.role >= Role::Admin { Ok(()) } else { Err(Refusal::NotAuthor) }
}

/// A report under way.
struct On<'a> {
    change: Change,
    asked: &'a Transition,
    by: &'a str,
    at: &'a str,
}

impl On<'_> {
    /// Fails it, or puts it away: no rule is asked.
    fn end(&mut self, to: UnitStatus) -> Result<(), Refusal> {
        let unit = &mut self.change.after;
        if !unit.status.may_become(to) {
            return Err(Refusal::wrong_state(unit));
        }
        unit.data = merged(unit, self.asked)?;
        self.go_to_step();
        self.step(UnitAction::Transition, to, None, self.asked.reason.clone().as_deref());
        Ok(())
    }

    /// Whether it may go there at all; the data that rules look at.
    fn begin(&mut self, to: UnitStatus) -> Result<Map<String, Value>, Refusal> {
        if self.change.after.status == UnitStatus::ZombiedSoft {
            revive(&mut self.change, self.by, self.at);
        }
        let unit = &self.change.after;
        // What is stopped or parked goes on by a pilot's hand only.
        let may_report = matches!(unit.status, UnitStatus::Pending | UnitStatus::Active);
        if !may_report || !unit.status.may_become(to) {
            return Err(Refusal::wrong_state(unit));
        }
        merged(unit, self.asked)
    }

    fn follow(mut self, ruling: Ruling, data: Map<String, Value>, request_id: &str) -> (Change, Verdict) {
        let asked = self.asked;
        self.change.after.heartbeat_at = self.at.to_owned();
        let (outcome, action, to, mut hold) = match ruling {
            Ruling::Allowed => {
                let unit = &mut self.change.after;
                unit.passes.retain(|pass| !pass.transition.is_same(asked));
                unit.data = data;
                self.go_to_step();
                self.step(UnitAction::Transition, asked.to(), None, asked.reason.as_deref());
                return (self.change, allowed("no rule objects"));
            }
            Ruling::Parked(hold) => (Outcome::Parked, UnitAction::Parked, UnitStatus::PendingPilotApproval, hold),
            Ruling::Denied(hold) => (Outcome::Denied, UnitAction::Denied, UnitStatus::Paused, hold),
            Ruling::Breach(hold) => (Outcome::Denied, UnitAction::Breach, UnitStatus::FailedSecurityBreach, hold),
        };
        self.step(action, to, Some(&hold.rule_id), Some(&hold.reason));
        let verdict = refused(outcome, &hold);
        let unit = &mut self.change.after;
        if outcome == Outcome::Parked {
            hold.request_id = Some(request_id.to_owned());
            unit.parked = Some(*hold);
        } else {
            unit.blocked = Some(*hold);
        }
        (self.change, verdict)
    }

    fn go_to_step(&mut self) {
        if let Some(step) = &self.asked.step {
            self.change.after.step = Some(step.clone());
        }
    }

    fn step(&mut self, action: UnitAction, to: UnitStatus, rule_id: Option<&str>, reason: Option<&str>) {
        self.change.step(Step { action, to, by: self.by, at: self.at, rule_id, reason });
    }
}

/// The unit's data with what the transition brings laid over them.
fn merged(unit: &Unit, asked: &Transition) -> Result<Map<String, Value>, Refusal> {
    let mut data = unit.data.clone();
    data.extend(asked.data.clone());
    check_data(&data)?;
    Ok(data)
}

fn allowed(reason: &str) -> Verdict {
    Verdict {
        outcome: Outcome::Allowed,
        allowed: true,
        reason: reason.to_owned(),
        guardian_type: None,
        rule_id: None,
        scope: None,
        metadata: Map::new(),
    }
}

fn refused(outcome: Outcome, hold: &Hold) -> Verdict {
    Verdict {
        outcome,
        allowed: false,
        reason: hold.reason.clone(),
        guardian_type: hold.guardian_type,
        rule_id: Some(hold.rule_id.clone()),
        scope: Some(hold.scope),
        metadata: hold.metadata.clone(),
    }
}
