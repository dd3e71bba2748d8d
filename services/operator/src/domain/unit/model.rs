//! What holds whatever anybody does, in any order, at any time.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vx11_contracts::intervention::Role;
use vx11_contracts::unit::{Outcome, Transition, Unit, UnitAction, UnitStatus};

use super::fixture::{agent, at, rule, rules, to, unit};
use super::{Beat, Change, PilotAction, Refusal, act, heartbeat, report, swept};
use crate::domain::intervention::Actor;

fn asked(kind: u8) -> Transition {
    let ends = |status| Transition { status: Some(status), ..Transition::default() };
    match kind {
        0..=2 => to("deploy"),
        3 | 4 => to("drop"),
        5 => Transition { data: env("staging"), ..to("build") },
        6 => Transition { data: env("prod"), ..to("build") },
        7 => to("leak"),
        8 => ends(UnitStatus::Completed),
        9 => ends(UnitStatus::Failed),
        _ => ends(UnitStatus::Archived),
    }
}

fn env(name: &str) -> Map<String, Value> {
    [("env".to_owned(), json!(name))].into_iter().collect()
}

/// From where, and with what, something would be done.
fn seen(unit: &Unit) -> String {
    format!("{:?} {:?}", unit.step, unit.data.get("env"))
}

/// What happens next to `unit`; `None` where it is refused, or nothing happens.
fn next(unit: &Unit, kind: u8, seconds: i64) -> Option<(Change, Option<Outcome>)> {
    let now = at(seconds);
    let reason = || "because".to_owned();
    let pilot = |action| act(unit, &action, "ana", now).ok().map(|change| (change, None));
    match kind {
        0..=10 => {
            let org = rules(&[json!({
                "rule_id": "dog",
                "guardian": {"type": "CERBERUS", "forbidden": [{"field": "secret", "op": "exists"}]},
            })]);
            let mut asked = asked(kind);
            if kind == 7 {
                asked.data.insert("secret".to_owned(), json!(1));
            }
            let (change, verdict) = report(unit, &asked, &org, &agent(), "r-1", now).ok()?;
            Some((change, Some(verdict.outcome)))
        }
        11 | 12 => match heartbeat(unit, &agent(), now).ok()? {
            Beat::Heard => None,
            Beat::Revived(change) => Some((*change, None)),
        },
        13 => swept(unit, Duration::from_secs(300), now).map(|change| (change, None)),
        14 => pilot(PilotAction::KillSwitch { reason: reason() }),
        15 => pilot(PilotAction::Clarify { text: "blue".to_owned() }),
        16..=18 => {
            let rule_id = unit.blocked.as_ref()?.rule_id.clone();
            pilot(PilotAction::Waive { rule_id, reason: reason() })
        }
        19..=21 => pilot(PilotAction::Resume { reason: None }),
        22 => pilot(PilotAction::Reject { reason: reason() }),
        _ => pilot(PilotAction::Cancel { reason: reason() }),
    }
}

fn is_sound(before: &Unit, change: &Change) -> Result<(), TestCaseError> {
    let after = &change.after;
    let steps = i64::try_from(change.events.len()).expect("few");
    prop_assert!(steps >= 1);
    prop_assert_eq!((change.from_version, after.version), (before.version, before.version + steps));
    let mut at = before.status;
    for event in &change.events {
        prop_assert_eq!(event.old_status, Some(at));
        prop_assert!(at.may_become(event.new_status), "{} -> {}", at, event.new_status);
        at = event.new_status;
    }
    prop_assert_eq!(at, after.status);
    prop_assert_eq!(after.parked.is_some(), after.status == UnitStatus::PendingPilotApproval);
    let is_blocked = matches!(after.status, UnitStatus::Paused | UnitStatus::FailedSecurityBreach);
    prop_assert_eq!(after.blocked.is_some(), is_blocked);
    prop_assert_eq!(after.ended_at.is_some(), after.status.has_ended());
    prop_assert!(!before.status.has_ended() || after.status.has_ended(), "what has ended stays so");
    prop_assert_eq!((&after.rules, &after.created_by), (&before.rules, &before.created_by));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_person_has_to_let_pass_passes_as_often_as_a_person_let_it(
        moves in prop::collection::vec((0_u8..24, 0_i64..400), 1..60),
    ) {
        let (mut stored, mut seconds) = (unit(), 0);
        // Each by what a pilot saw: a unit that is stopped keeps its step and its data.
        let (mut let_pass, mut waived) = (BTreeMap::<_, i32>::new(), BTreeMap::<_, i32>::new());
        for (kind, pause) in moves {
            seconds += pause;
            let Some((change, outcome)) = next(&stored, kind, seconds) else { continue };
            is_sound(&stored, &change)?;
            for event in &change.events {
                match (event.action, event.rule_id.as_deref()) {
                    (UnitAction::Resume, _) | (UnitAction::Waive, Some("look")) => {
                        *let_pass.entry(seen(&stored)).or_default() += 1;
                    }
                    (UnitAction::Waive, Some("never")) => *waived.entry(seen(&stored)).or_default() += 1,
                    _ => {}
                }
            }
            if outcome == Some(Outcome::Allowed) {
                let left = match kind {
                    0..=2 => let_pass.entry(seen(&stored)).or_default(),
                    3 | 4 => waived.entry(seen(&stored)).or_default(),
                    _ => &mut 1,
                };
                *left -= 1;
                prop_assert!(*left >= 0, "{} passes, and nobody let it", kind);
                prop_assert!(kind != 7, "nobody lets a breach pass");
            }
            stored = change.after;
        }
    }
}

#[test]
fn what_was_resumed_passes_once_and_only_as_it_was_parked() {
    let report = |unit: &Unit, asked: &Transition| report(unit, asked, &[], &agent(), "r-1", at(1)).expect("reported");
    let parked = report(&unit(), &to("deploy")).0.after;
    let resumed = act(&parked, &PilotAction::Resume { reason: None }, "ana", at(2)).expect("resumed").after;
    let mut other = to("deploy");
    other.data.insert("env".to_owned(), json!("prod"));
    assert_eq!(report(&resumed, &other).1.outcome, Outcome::Parked, "a pilot saw no data");
    let (passed, verdict) = report(&resumed, &to("deploy"));
    assert_eq!((verdict.outcome, passed.after.step.as_deref()), (Outcome::Allowed, Some("deploy")));
    assert_eq!(report(&passed.after, &to("deploy")).1.outcome, Outcome::Parked);
}

#[test]
fn what_was_resumed_does_not_pass_with_data_or_from_a_step_that_the_pilot_did_not_see() {
    let report = |unit: &Unit, asked: &Transition| report(unit, asked, &[], &agent(), "r-1", at(1)).expect("reported");
    let build = |name| Transition { data: env(name), ..to("build") };
    let staged = report(&unit(), &build("staging")).0.after;
    let parked = report(&staged, &to("deploy")).0.after;
    let resumed = act(&parked, &PilotAction::Resume { reason: None }, "ana", at(2)).expect("resumed").after;
    for between in [build("prod"), to("test")] {
        let changed = report(&resumed, &between).0.after;
        assert_eq!(report(&changed, &to("deploy")).1.outcome, Outcome::Parked, "{between:?}");
    }
    let as_before = report(&resumed, &build("staging")).0.after;
    assert_eq!(report(&as_before, &to("deploy")).1.outcome, Outcome::Allowed, "as the pilot saw it");
}

#[test]
fn a_waiver_is_of_one_rule_and_stays_until_its_transition_passes() {
    let org = rules(&[rule("never", "drop", "park")]);
    let report = |unit: &Unit, rules| report(unit, &to("drop"), rules, &agent(), "r-1", at(1)).expect("reported");
    let blocked = report(&unit(), &[]).0.after;
    let waive = PilotAction::Waive { rule_id: "never".to_owned(), reason: "a copy".to_owned() };
    let waived = act(&blocked, &waive, "ana", at(2)).expect("waived").after;
    // The organisation's rule of the same name is another one.
    let (parked, verdict) = report(&waived, &org);
    assert_eq!(verdict.outcome, Outcome::Parked);
    let resumed = act(&parked.after, &PilotAction::Resume { reason: None }, "ana", at(3)).expect("resumed").after;
    let passed = report(&resumed, &org);
    assert_eq!((passed.1.outcome, passed.0.after.passes.len()), (Outcome::Allowed, 0));
    assert_eq!(report(&passed.0.after, &[]).1.outcome, Outcome::Denied);
}

#[test]
fn nobody_reports_for_anothers_unit_but_an_admin() {
    let other = Actor::new("other", Role::Operator);
    let refused = report(&unit(), &to("build"), &[], &other, "r-1", at(1)).expect_err("refused");
    assert_eq!(refused, Refusal::NotAuthor);
    assert_eq!(heartbeat(&unit(), &other, at(1)), Err(Refusal::NotAuthor));
    report(&unit(), &to("build"), &[], &Actor::new("root", Role::Admin), "r-1", at(1)).expect("reported");
}
