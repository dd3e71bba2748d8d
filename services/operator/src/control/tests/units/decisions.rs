//! What decisions do to units, and units to decisions.

use vx11_contracts::unit::{Outcome, UnitAction, UnitStatus};

use super::super::{
    Actor, Command, CreateIntervention, DecideError, DecisionBody, Home, OnTimeout, Postgres, Role, Status, after,
    found, json, pilot, start,
};
use super::{admin, approve, reason, report};
use crate::control::UnitError;
use crate::domain::unit::PilotAction;

on_both!(
    what_is_parked_opens_a_request_and_its_approval_lets_it_pass_once,
    a_rejected_request_stops_its_unit,
    of_many_who_resume_one_does_and_the_transition_passes_once,
    a_waiver_is_on_record_and_used_once,
    a_decision_and_its_effect_are_one,
    time_approves_nothing_for_units,
    a_unit_is_cancelled_while_a_pilot_decides_about_it_and_neither_waits_for_the_other,
    a_plan_that_waits_is_resumed_by_its_approval_alone,
    what_is_not_registered_is_cancelled_by_its_requests,
);

async fn what_is_parked_opens_a_request_and_its_approval_lets_it_pass_once(home: Home) {
    home.active("u1").await;
    let asked = home.parked("u1").await;
    assert_eq!((asked.intervention_type.as_str(), asked.uow_id.as_deref()), ("resume", Some("u1")));
    assert_eq!((asked.expires_at.as_ref(), asked.title.as_str()), (None, "Ship it: deploy"));
    assert!(matches!(home.report("acme", "u1", "test").await, Err(UnitError::Refused(_))));
    let changed = home.of("acme").decide(&asked.request_id, approve(&asked), pilot("ann"), after(12)).await;
    let changed = changed.expect("decided");
    // The decision, its effect, and that it had it.
    assert_eq!((changed.after.status, changed.transitions.len()), (Status::Completed, 2));
    assert_eq!((changed.units.len(), changed.units[0].unit.status), (1, UnitStatus::Active));
    assert_eq!(home.of("acme").history(None, 10).await.expect("an answer")[0].status, Status::Approved);
    assert_eq!(home.report("acme", "u1", "deploy").await.expect("passes").0, Outcome::Allowed);
    assert_eq!(home.report("acme", "u1", "deploy").await.expect("parked again").0, Outcome::Parked);
}

async fn a_rejected_request_stops_its_unit(home: Home) {
    home.active("u1").await;
    let asked = home.parked("u1").await;
    let body = DecisionBody { version: 1, args_digest: None, reason: Some("not on a Sunday".to_owned()) };
    let acme = home.of("acme");
    let changed =
        acme.decide(&asked.request_id, Command::Reject(body), pilot("ann"), after(12)).await.expect("decided");
    assert_eq!(changed.after.status, Status::Rejected);
    let unit = home.unit("u1").await;
    assert_eq!((unit.status, unit.reason.as_deref()), (UnitStatus::Paused, Some("not on a Sunday")));
    assert_eq!(unit.blocked.map(|hold| hold.rule_id).as_deref(), Some("look"));
    // Withdrawn by its author: no approval either.
    home.active("u2").await;
    let asked = home.parked("u2").await;
    let withdraw = Command::Cancel(Default::default());
    acme.decide(&asked.request_id, withdraw, Actor::new("agent-1", Role::Operator), after(12))
        .await
        .expect("withdrawn");
    assert_eq!(home.unit("u2").await.status, UnitStatus::Paused);
}

async fn of_many_who_resume_one_does_and_the_transition_passes_once(home: Home) {
    home.active("u1").await;
    let asked = home.parked("u1").await;
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (units, acme, asked) = (home.units("acme"), home.of("acme"), asked.clone());
            let by = pilot(&format!("p{number}"));
            tokio::spawn(async move {
                // Half of them decide the request, the others go straight to the unit.
                match number % 2 {
                    0 => acme.decide(&asked.request_id, approve(&asked), by, after(12)).await.is_ok(),
                    _ => units.pilot("u1", PilotAction::Resume { reason: None }, by, after(12)).await.is_ok(),
                }
            })
        })
        .collect();
    let mut resumed = 0;
    for task in tasks {
        resumed += usize::from(task.await.expect("it ends"));
    }
    assert_eq!(resumed, 1);
    let decided = found(&home.of("acme"), &asked.request_id, after(13)).await.expect("it is there");
    assert_eq!(decided.status, Status::Completed);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let units = home.units("acme");
            tokio::spawn(async move { report(&units, "u1", "deploy").await.map(|done| done.0) })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += usize::from(matches!(task.await.expect("it ends"), Ok(Outcome::Allowed)));
    }
    assert_eq!(passed, 1);
    assert_eq!(home.unit("u1").await.status, UnitStatus::PendingPilotApproval, "the next one parks it again");
}

async fn a_waiver_is_on_record_and_used_once(home: Home) {
    home.active("u1").await;
    let (outcome, blocked) = home.report("acme", "u1", "drop").await.expect("decided");
    assert_eq!((outcome, blocked.status), (Outcome::Denied, UnitStatus::Paused));
    let waive = |rule_id: &str| PilotAction::Waive { rule_id: rule_id.to_owned(), reason: "a copy".to_owned() };
    assert!(matches!(home.act("u1", waive("look")).await, Err(UnitError::Refused(_))), "another rule");
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (units, waive) = (home.units("acme"), waive("never"));
            tokio::spawn(async move { units.pilot("u1", waive, admin("root"), after(12)).await.is_ok() })
        })
        .collect();
    let mut waived = 0;
    for task in tasks {
        waived += usize::from(task.await.expect("it ends"));
    }
    assert_eq!(waived, 1);
    let history = home.units("acme").find("u1").await.expect("an answer").expect("it is there").history;
    let newest = &history[0];
    assert_eq!(
        (newest.action, newest.reason.as_deref(), newest.by.as_str()),
        (UnitAction::Waive, Some("a copy"), "root")
    );
    assert_eq!(home.report("acme", "u1", "drop").await.expect("passes").0, Outcome::Allowed);
    assert_eq!(home.report("acme", "u1", "drop").await.expect("decided").0, Outcome::Denied);
}

async fn a_decision_and_its_effect_are_one(home: Home) {
    let acme = home.of("acme");
    let asked = async |id: &str, kind: &str, context: serde_json::Value| {
        let fill = |create: &mut CreateIntervention| {
            create.intervention_type = kind.parse().expect("a type");
            create.uow_id = Some("u1".to_owned());
            create.action = None;
            create.context = context.as_object().expect("an object").clone();
        };
        home.asked_with(id, fill).await
    };
    home.active("u1").await;
    // Who asks to resume what waits for another request says nothing of why it waits.
    let forged = asked("forged", "resume", json!({})).await;
    home.parked("u1").await;
    acme.decide("forged", approve(&forged), pilot("ann"), after(11)).await.expect("decided");
    assert_eq!(home.unit("u1").await.status, UnitStatus::PendingPilotApproval);
    home.act("u1", PilotAction::Resume { reason: None }).await.expect("resumed");

    // A unit that stands elsewhere: nothing is decided.
    let waive = asked("waive", "waive_violation", json!({"guard_rule_id": "never"})).await;
    let refused = acme.decide("waive", approve(&waive), admin("root"), after(12)).await;
    assert!(matches!(refused, Err(DecideError::Unit(_))), "{refused:?}");
    assert_eq!(found(&acme, "waive", after(12)).await.expect("there").status, Status::Pending);
    home.report("acme", "u1", "drop").await.expect("denied");
    let waived = acme.decide("waive", approve(&waive), admin("root"), after(13)).await.expect("decided");
    assert_eq!((waived.after.status, home.unit("u1").await.status), (Status::Completed, UnitStatus::Active));

    let kill = asked("kill", "kill_switch", json!({"instance_id": "i-1"})).await;
    let killed = acme.decide("kill", approve(&kill), admin("root"), after(14)).await.expect("decided");
    assert_eq!((killed.units.len(), home.unit("u1").await.status), (1, UnitStatus::Paused));

    // A question of a unit that does not wait for the answer is answered, and nothing else.
    let question = asked("question", "clarification", json!({})).await;
    let answered = acme.decide("question", approve(&question), pilot("ann"), after(15)).await.expect("decided");
    assert_eq!((answered.after.status, answered.units.len()), (Status::Approved, 0));

    let cancel = asked("cancel", "cancel", json!({})).await;
    acme.decide("cancel", approve(&cancel), pilot("ann"), after(16)).await.expect("decided");
    assert_eq!(home.unit("u1").await.status, UnitStatus::Failed);
    let again = asked("again", "cancel", json!({})).await;
    let late = acme.decide("again", approve(&again), pilot("ann"), after(17)).await;
    assert!(matches!(late, Err(DecideError::Unit(_))), "{late:?}");
}

async fn time_approves_nothing_for_units(home: Home) {
    home.active("u1").await;
    home.asked_with("cancel", |create| {
        create.intervention_type = "cancel".parse().expect("a type");
        create.uow_id = Some("u1".to_owned());
        create.expires_in_seconds = Some(5);
        create.on_timeout = OnTimeout::Approve;
    })
    .await;
    home.control.mark_expired(after(60)).await.expect("swept");
    let request = found(&home.of("acme"), "cancel", after(60)).await.expect("it is there");
    assert_eq!((request.status, home.unit("u1").await.status), (Status::Approved, UnitStatus::Active));
}

async fn a_unit_is_cancelled_while_a_pilot_decides_about_it_and_neither_waits_for_the_other(home: Home) {
    let ids: Vec<String> = (0..12 * 8).map(|number| format!("r{number:04}")).collect();
    for (number, ids) in ids.chunks(8).enumerate() {
        let unit = format!("plan-{number}");
        for id in ids {
            home.asked_with(id, |create| create.uow_id = Some(unit.clone())).await;
        }
        let (last, units, acme) = (ids[7].clone(), home.units("acme"), home.of("acme"));
        let request = found(&acme, &last, start()).await.expect("it is there");
        let cancel =
            async move { units.pilot(&unit, PilotAction::Cancel { reason: reason() }, pilot("ann"), after(12)).await };
        let approve = async move { acme.decide(&last, approve(&request), pilot("bob"), after(12)).await };
        let (cancelled, decided) = (tokio::spawn(cancel), tokio::spawn(approve));
        cancelled.await.expect("it ends").expect("cancelled");
        match decided.await.expect("it ends") {
            Ok(_) | Err(DecideError::Refused { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let metrics = home.of("acme").metrics().await.expect("an answer");
    assert_eq!((metrics.total_interventions, metrics.pending_interventions), (12 * 8, 0));
}

async fn a_plan_that_waits_is_resumed_by_its_approval_alone(home: Home) {
    home.registered("acme", "plan-1").await;
    let resume = async |who: Actor| {
        let action = PilotAction::Resume { reason: Some(reason()) };
        home.units("acme").pilot("plan-1", action, who, after(12)).await
    };
    let asked = async |id: &str, kind: &str| {
        home.asked_with(id, |create| {
            create.intervention_type = kind.parse().expect("a type");
            create.uow_id = Some("plan-1".to_owned());
            create.required_role = Role::Admin;
        })
        .await;
    };
    asked("other", "approval").await;
    let early = resume(admin("root")).await;
    assert!(matches!(early, Err(UnitError::Refused(_))), "what else waits for an answer is not approved: {early:?}");
    asked("plan:plan-1", "plan").await;
    let too_low = resume(pilot("ann")).await;
    assert!(matches!(too_low, Err(UnitError::Decision(_))), "{too_low:?}");
    let done = resume(admin("root")).await.expect("resumed");
    let unit = &done.moved[0];
    assert_eq!((unit.unit.status, unit.events.len()), (UnitStatus::Pending, 0), "it begins when it is reported");
    let request = found(&home.of("acme"), "plan:plan-1", after(13)).await.expect("it is there");
    assert_eq!((request.status, request.decision.map(|it| it.by).as_deref()), (Status::Approved, Some("root")));
    let again = resume(admin("root")).await;
    assert!(matches!(again, Err(UnitError::Refused(_))), "once: {again:?}");
    let (outcome, unit) = home.report("acme", "plan-1", "run").await.expect("begun");
    assert_eq!((outcome, unit.status), (Outcome::Allowed, UnitStatus::Active));
}

async fn what_is_not_registered_is_cancelled_by_its_requests(home: Home) {
    for id in ["r1", "r2"] {
        home.asked_with(id, |create| create.uow_id = Some("plan-1".to_owned())).await;
    }
    let units = home.units("acme");
    let cancel = || PilotAction::Cancel { reason: reason() };
    let theirs = home.units("globex").pilot("plan-1", cancel(), admin("root"), after(12)).await;
    assert!(matches!(theirs, Err(UnitError::NotFound)), "{theirs:?}");
    let resume = units.pilot("plan-1", PilotAction::Resume { reason: None }, pilot("ann"), after(12)).await;
    assert!(matches!(resume, Err(UnitError::NotFound)), "{resume:?}");
    let done = units.pilot("plan-1", cancel(), pilot("ann"), after(12)).await.expect("cancelled");
    assert_eq!((done.moved.len(), done.changed.len()), (0, 2));
    let request = found(&home.of("acme"), "r1", after(13)).await.expect("it is there");
    assert_eq!((request.status, request.decision.map(|it| it.by).as_deref()), (Status::Rejected, Some("ann")));
    assert!(matches!(units.pilot("plan-1", cancel(), pilot("ann"), after(14)).await, Err(UnitError::NotFound)));
}
