//! What pilots do with a unit.

use jiff::Timestamp;
use serde_json::Map;
use vx11_contracts::time;
use vx11_contracts::unit::{Clarification, Hold, KILL_SWITCH_RULE, Pass, RuleScope, Unit, UnitAction, UnitStatus};

use super::change::{Change, Step};
use super::refusal::Refusal;
use crate::domain::audit::Entry;
use crate::domain::intervention::Actor;

/// Most passes that wait for their transitions.
const PASSES: usize = 16;

/// What a kill switch stops: what works, and what its agent alone can bring to work: by a heartbeat, or a first step.
pub(crate) const KILLED: [UnitStatus; 3] = [UnitStatus::Active, UnitStatus::ZombiedSoft, UnitStatus::Pending];

/// What pilots do with a unit; whether they may is decided before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PilotAction {
    /// Stops it where it is.
    KillSwitch { reason: String },
    /// Gives a zombie the text that it waits for.
    Clarify { text: String },
    /// Lets it go on past the rule that it is blocked by, once.
    Waive { rule_id: String, reason: String },
    /// Lets the parked transition pass, once.
    Resume { reason: Option<String> },
    /// Does not let it pass.
    Reject { reason: String },
    /// Ends it.
    Cancel { reason: String },
}

impl PilotAction {
    /// Its row in the audit log, where `by` does it with the unit `id`.
    pub(crate) fn entry(&self, id: &str, by: &Actor, now: Timestamp) -> Entry {
        let entry = Entry::done(by, format!("unit.{}", self.name()), time::render(now)).to("unit", id);
        match self {
            Self::Waive { rule_id, .. } => entry.with("rule", rule_id.as_str()),
            _ => entry,
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::KillSwitch { .. } => "kill_switch",
            Self::Clarify { .. } => "clarify",
            Self::Waive { .. } => "waive",
            Self::Resume { .. } => "resume",
            Self::Reject { .. } => "reject",
            Self::Cancel { .. } => "cancel",
        }
    }
}

/// What `action` by `by` makes of `unit`.
///
/// # Errors
/// That the unit stands where this is not possible.
pub(crate) fn act(unit: &Unit, action: &PilotAction, by: &str, now: Timestamp) -> Result<Change, Refusal> {
    let at = time::render(now);
    let mut on = On { change: Change::of(unit), by, at: &at };
    match action {
        PilotAction::KillSwitch { reason } => on.kill(reason)?,
        PilotAction::Clarify { text } => on.clarify(text)?,
        PilotAction::Waive { rule_id, reason } => on.waive(rule_id, reason)?,
        PilotAction::Resume { reason } => on.resume(reason.as_deref())?,
        PilotAction::Reject { reason } => on.reject(reason)?,
        PilotAction::Cancel { reason } => on.cancel(reason)?,
    }
    Ok(on.change)
}

/// An action under way.
struct On<'a> {
    change: Change,
    by: &'a str,
    at: &'a str,
}

impl On<'_> {
    fn kill(&mut self, reason: &str) -> Result<(), Refusal> {
        if !KILLED.contains(&self.change.after.status) {
            return Err(Refusal::wrong_state(&self.change.after));
        }
        self.step(UnitAction::KillSwitch, UnitStatus::Paused, Some(KILL_SWITCH_RULE), Some(reason));
        self.change.after.blocked = Some(Hold {
            rule_id: KILL_SWITCH_RULE.to_owned(),
            scope: RuleScope::Pilot,
            guardian_type: None,
            reason: reason.to_owned(),
            metadata: Map::new(),
            transition: None,
            seen: None,
            request_id: None,
            at: self.at.to_owned(),
        });
        Ok(())
    }

    fn clarify(&mut self, text: &str) -> Result<(), Refusal> {
        self.is(UnitStatus::ZombiedSoft)?;
        self.step(UnitAction::Clarification, UnitStatus::Active, None, None);
        let (by, at) = (self.by.to_owned(), self.at.to_owned());
        self.change.after.clarification = Some(Clarification { text: text.to_owned(), by, at });
        Ok(())
    }

    fn waive(&mut self, rule_id: &str, reason: &str) -> Result<(), Refusal> {
        self.is(UnitStatus::Paused)?;
        let blocked = self.change.after.blocked.clone();
        let Some(hold) = blocked.filter(|hold| hold.rule_id == rule_id) else {
            return Err(Refusal::other_rule(&self.change.after, rule_id));
        };
        self.step(UnitAction::Waive, UnitStatus::Active, Some(rule_id), Some(reason));
        self.pass(hold, true, Some(reason));
        Ok(())
    }

    fn resume(&mut self, reason: Option<&str>) -> Result<(), Refusal> {
        let hold = self.parked()?;
        self.step(UnitAction::Resume, UnitStatus::Active, Some(&hold.rule_id), reason);
        self.pass(hold, false, reason);
        Ok(())
    }

    fn reject(&mut self, reason: &str) -> Result<(), Refusal> {
        let hold = self.parked()?;
        self.step(UnitAction::Rejected, UnitStatus::Paused, Some(&hold.rule_id), Some(reason));
        self.change.after.blocked = Some(hold);
        Ok(())
    }

    fn cancel(&mut self, reason: &str) -> Result<(), Refusal> {
        let unit = &self.change.after;
        if !unit.status.may_become(UnitStatus::Failed) {
            return Err(Refusal::wrong_state(unit));
        }
        self.step(UnitAction::Cancel, UnitStatus::Failed, None, Some(reason));
        Ok(())
    }

    fn parked(&self) -> Result<Hold, Refusal> {
        self.is(UnitStatus::PendingPilotApproval)?;
        self.change.after.parked.clone().ok_or_else(|| Refusal::wrong_state(&self.change.after))
    }

    /// Lets what was held pass once; a kill switch held nothing.
    fn pass(&mut self, hold: Hold, waives: bool, reason: Option<&str>) {
        let Hold { transition: Some(transition), seen, rule_id, scope, .. } = hold else { return };
        let pass = Pass {
            transition,
            seen,
            waives: waives.then_some(rule_id),
            scope: waives.then_some(scope),
            by: self.by.to_owned(),
            at: self.at.to_owned(),
            reason: reason.map(str::to_owned),
        };
        let passes = &mut self.change.after.passes;
        let same = |other: &Pass| {
            let is_same = other.transition.is_same(&pass.transition) && other.seen == pass.seen;
            is_same && other.waives == pass.waives && other.scope == pass.scope
        };
        passes.retain(|other| !same(other));
        passes.push(pass);
        let surplus = passes.len().saturating_sub(PASSES);
        passes.drain(..surplus);
    }

    fn is(&self, status: UnitStatus) -> Result<(), Refusal> {
        let unit = &self.change.after;
        if unit.status == status { Ok(()) } else { Err(Refusal::wrong_state(unit)) }
    }

    fn step(&mut self, action: UnitAction, to: UnitStatus, rule_id: Option<&str>, reason: Option<&str>) {
        self.change.step(Step { action, to, by: self.by, at: self.at, rule_id, reason });
    }
}
