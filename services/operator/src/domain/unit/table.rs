//! Every action at every status: what is not in the table is refused.

use std::time::Duration;

use vx11_contracts::unit::{Transition, Unit, UnitStatus};

use super::fixture::{agent, at, to, unit};
use super::{Beat, PilotAction, act, heartbeat, report, swept};

const TIMEOUT: Duration = Duration::from_secs(300);

/// A unit that came to stand there by what happens to units.
fn standing(status: UnitStatus) -> Unit {
    use UnitStatus::{
        Active, Archived, Completed, Failed, FailedSecurityBreach, Paused, Pending, PendingPilotApproval, ZombiedDead,
        ZombiedSoft,
    };
    let reported = |from: UnitStatus, asked: Transition| {
        report(&standing(from), &asked, &[], &agent(), "r-1", at(1)).expect("reported").0.after
    };
    match status {
        Pending => unit(),
        Active => reported(Pending, to("build")),
        PendingPilotApproval => reported(Active, to("deploy")),
        Paused => reported(Active, to("drop")),
        ZombiedSoft => swept(&standing(Active), TIMEOUT, at(400)).expect("silent").after,
        ZombiedDead => swept(&standing(ZombiedSoft), TIMEOUT, at(800)).expect("silent").after,
        Completed | Failed => reported(Active, Transition { status: Some(status), ..Transition::default() }),
        Archived => reported(Completed, Transition { status: Some(Archived), ..Transition::default() }),
        FailedSecurityBreach => Unit { status, ended_at: Some("2026-11-21T00:00:01.000Z".to_owned()), ..unit() },
    }
}

/// Where an action leads; `None` where it is refused.
fn after(unit: &Unit, action: &str) -> Option<UnitStatus> {
    let now = at(1000);
    let by_agent = |asked: Transition| report(unit, &asked, &[], &agent(), "r-2", now).ok().map(|done| done.0.after);
    let by_pilot = |action: PilotAction| act(unit, &action, "ana", now).ok().map(|change| change.after);
    let ends = |status| Transition { status: Some(status), ..Transition::default() };
    let reason = || "because".to_owned();
    let after = match action {
        "step" => by_agent(to("test")),
        "complete" => by_agent(ends(UnitStatus::Completed)),
        "fail" => by_agent(ends(UnitStatus::Failed)),
        "archive" => by_agent(ends(UnitStatus::Archived)),
        "heartbeat" => match heartbeat(unit, &agent(), now).ok()? {
            Beat::Heard => Some(unit.clone()),
            Beat::Revived(change) => Some(change.after),
        },
        "silence" => swept(unit, TIMEOUT, at(5000)).map(|change| change.after),
        "kill" => by_pilot(PilotAction::KillSwitch { reason: reason() }),
        "clarify" => by_pilot(PilotAction::Clarify { text: "blue".to_owned() }),
        "waive" => by_pilot(PilotAction::Waive { rule_id: "never".to_owned(), reason: reason() }),
        "resume" => by_pilot(PilotAction::Resume { reason: None }),
        "reject" => by_pilot(PilotAction::Reject { reason: reason() }),
        "cancel" => by_pilot(PilotAction::Cancel { reason: reason() }),
        other => panic!("{other}"),
    };
    after.map(|unit| unit.status)
}

#[test]
fn every_action_at_every_status_leads_where_the_table_says() {
    let actions = [
        "step",
        "complete",
        "fail",
        "archive",
        "heartbeat",
        "silence",
        "kill",
        "clarify",
        "waive",
        "resume",
        "reject",
        "cancel",
    ];
    // A: ACTIVE, C: COMPLETED, F: FAILED, R: ARCHIVED, Z: ZOMBIED_SOFT, D: ZOMBIED_DEAD, P: PAUSED; = stays, - refused.
    let table = [
        ("PENDING", "A - F - = - P - - - - F"),
        ("ACTIVE", "A C F - = Z P - - - - F"),
        ("PENDING_PILOT_APPROVAL", "- - F - = - - - - A P F"),
        ("ZOMBIED_SOFT", "A C F - A D P A - - - F"),
        ("ZOMBIED_DEAD", "- - F R - - - - - - - F"),
        ("COMPLETED", "- - - R - - - - - - - -"),
        ("FAILED", "- - - R - - - - - - - -"),
        ("PAUSED", "- - F - = - - - A - - F"),
        ("FAILED_SECURITY_BREACH", "- - - R - - - - - - - -"),
        ("ARCHIVED", "- - - - - - - - - - - -"),
    ];
    assert_eq!(table.len(), UnitStatus::ALL.len());
    for (name, cells) in table {
        let status: UnitStatus = name.parse().expect("a status");
        for (action, cell) in actions.iter().zip(cells.split(' ')) {
            let expected = match cell {
                "A" => Some(UnitStatus::Active),
                "C" => Some(UnitStatus::Completed),
                "F" => Some(UnitStatus::Failed),
                "R" => Some(UnitStatus::Archived),
                "Z" => Some(UnitStatus::ZombiedSoft),
                "D" => Some(UnitStatus::ZombiedDead),
                "P" => Some(UnitStatus::Paused),
                "=" => Some(status),
                "-" => None,
                other => panic!("{other}"),
            };
            assert_eq!(after(&standing(status), action), expected, "{action} at {name}");
        }
    }
}
