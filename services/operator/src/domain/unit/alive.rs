//! Whether a unit lives: heartbeats, and what becomes of one that is silent.
//!
//! Silence makes an active unit a zombie, and a zombie that stays silent as long again is dead. A heartbeat brings a
//! zombie back, as it was only late; it does not bring back what is dead, because somebody may have taken its work up.

use std::time::Duration;

use jiff::Timestamp;
use vx11_contracts::time;
use vx11_contracts::unit::{Unit, UnitAction, UnitStatus};

use super::change::{Change, Step};
use super::refusal::Refusal;
use super::report::is_author;
use crate::domain::intervention::{Actor, TIMEOUT};

/// What a heartbeat does.
#[derive(Debug, PartialEq)]
pub(crate) enum Beat {
    /// It is noted, and nothing else.
    Heard,
    /// It brings the unit back.
    Revived(Box<Change>),
}

/// What a heartbeat of `unit` does.
///
/// # Errors
/// That whoever sends it may not, or that the unit's work is over, whatever its agent believes.
pub(crate) fn heartbeat(unit: &Unit, actor: &Actor, now: Timestamp) -> Result<Beat, Refusal> {
    is_author(unit, actor)?;
    match unit.status {
        status if status.has_ended() => Err(Refusal::wrong_state(unit)),
        UnitStatus::ZombiedSoft => {
            let mut change = Change::of(unit);
            revive(&mut change, &actor.subject, &time::render(now));
            Ok(Beat::Revived(Box::new(change)))
        }
        _ => Ok(Beat::Heard),
    }
}

/// Brings a zombie back that was heard of.
pub(super) fn revive(change: &mut Change, by: &str, at: &str) {
    change.step(Step {
        action: UnitAction::Revived,
        to: UnitStatus::Active,
        by,
        at,
        rule_id: None,
        reason: Some("it was heard of again"),
    });
}

/// The time from which silence counts: the last heartbeat, or the end of the first silence.
pub(crate) fn clock(unit: &Unit) -> Option<&str> {
    match unit.status {
        UnitStatus::Active => Some(&unit.heartbeat_at),
        UnitStatus::ZombiedSoft => unit.updated_at.as_deref(),
        _ => None,
    }
}

/// What silence makes of `unit`, where it lasted for `timeout`.
pub(crate) fn swept(unit: &Unit, timeout: Duration, now: Timestamp) -> Option<Change> {
    let limit = time::render(now.checked_sub(timeout).ok()?);
    // Times have a fixed width: text order is time order.
    clock(unit).filter(|from| *from <= limit.as_str())?;
    let to = match unit.status {
        UnitStatus::Active => UnitStatus::ZombiedSoft,
        _ => UnitStatus::ZombiedDead,
    };
    let mut change = Change::of(unit);
    change.step(Step {
        action: UnitAction::Zombied,
        to,
        by: TIMEOUT,
        at: &time::render(now),
        rule_id: None,
        reason: Some("nothing was heard of it"),
    });
    Some(change)
}
