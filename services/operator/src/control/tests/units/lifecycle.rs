//! What becomes of units: at work, ended, silent, forgotten.

use vx11_contracts::unit::{GuardRule, ListUnits, Outcome, Transition, UnitAction, UnitStatus};

use super::super::{
    Actor, AnswerFormat, Asked, Control, CreateIntervention, Duration, Home, Postgres, Role, Status, after, found,
    json, pilot, start,
};
use super::{admin, approve, made, reason, report};
use crate::control::{Report, UnitError};
use crate::domain::intervention::open;
use crate::domain::unit::PilotAction;

on_both!(
    a_unit_is_registered_once_and_found_with_its_history,
    a_kill_switch_and_transitions_at_once_leave_nothing_active,
    an_agent_that_fails_withdraws_what_is_its_own_only,
    a_unit_that_fails_takes_its_requests_with_it,
    silence_is_swept_once_and_heartbeats_bring_back,
    an_organisations_rules_hold_for_every_unit,
    pages_hold_every_unit_once,
    organisations_do_not_meet,
    what_ended_long_ago_is_removed,
);

async fn a_unit_is_registered_once_and_found_with_its_history(home: Home) {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let units = home.units("acme");
            let (unit, event) = made("acme", "u1");
            tokio::spawn(async move { units.register(unit, event).await })
        })
        .collect();
    let mut registered = 0;
    for task in tasks {
        match task.await.expect("it ends") {
            Ok(()) => registered += 1,
            Err(UnitError::Exists) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(registered, 1);
    home.report("acme", "u1", "build").await.expect("begun");
    let found = home.units("acme").find("u1").await.expect("an answer").expect("it is there");
    assert_eq!((found.unit.status, found.unit.step.as_deref()), (UnitStatus::Active, Some("build")));
    let history: Vec<_> = found.history.iter().map(|event| (event.action, event.version)).collect();
    assert_eq!(history, [(UnitAction::Transition, 2), (UnitAction::Registered, 1)]);
    assert!(home.units("acme").find("u2").await.expect("an answer").is_none());
    assert!(matches!(home.report("acme", "u2", "build").await, Err(UnitError::NotFound)));
}

async fn a_kill_switch_and_transitions_at_once_leave_nothing_active(home: Home) {
    // Half of them begin to work while the switch is pulled.
    for number in 0..12 {
        let id = format!("u{number}");
        match number % 2 {
            0 => home.registered("acme", &id).await,
            _ => drop(home.active(&id).await),
        }
    }
    let steps = (0..12).map(|number| {
        let units = home.units("acme");
        tokio::spawn(async move {
            let id = format!("u{number}");
            while report(&units, &id, "test").await.is_ok() {}
        })
    });
    let steps: Vec<_> = steps.collect();
    let kills = [(); 2].map(|()| {
        let units = home.units("acme");
        tokio::spawn(async move { units.kill("i-1", "runaway", admin("root"), after(12)).await.expect("killed").len() })
    });
    let mut killed = 0;
    for kill in kills {
        killed += kill.await.expect("it ends");
    }
    for step in steps {
        step.await.expect("it ends, because its unit is paused");
    }
    assert_eq!(killed, 12, "each once");
    let unit = home.unit("u3").await;
    assert_eq!((unit.status, unit.reason.as_deref()), (UnitStatus::Paused, Some("runaway")));
    let waive = PilotAction::Waive { rule_id: "kill_switch".to_owned(), reason: "a false alarm".to_owned() };
    assert_eq!(home.act("u3", waive).await.expect("goes on").status, UnitStatus::Active);
    assert_eq!(home.units("acme").kill("i-2", "none", admin("root"), after(13)).await.expect("an answer").len(), 0);
}

async fn an_agent_that_fails_withdraws_what_is_its_own_only(home: Home) {
    home.asked_with("own", |create| create.uow_id = Some("plan-1".to_owned())).await;
    let theirs =
        CreateIntervention { uow_id: Some("plan-1".to_owned()), ..CreateIntervention::new("A plan".to_owned()) };
    let asked = Asked {
        org_id: "acme".to_owned(),
        by: "madre".to_owned(),
        request_id: "theirs".to_owned(),
        correlation_id: None,
        format: AnswerFormat::Vx11,
    };
    home.of("acme").create(open(theirs, asked, start()), None).await.expect("created");
    home.active("plan-1").await;
    let failed = Transition { status: Some(UnitStatus::Failed), ..Transition::default() };
    let report = Report { asked: failed, request_id: "none".to_owned(), correlation_id: None };
    let agent = Actor::new("agent-1", Role::Operator);
    let (done, _) = home.units("acme").report("plan-1", report, agent, after(12)).await.expect("failed");
    let withdrawn: Vec<_> = done.changed.iter().map(|changed| changed.after.request_id.as_str()).collect();
    assert_eq!(withdrawn, ["own"]);
    assert_eq!(found(&home.of("acme"), "theirs", after(13)).await.expect("there").status, Status::Pending);
}

async fn a_unit_that_fails_takes_its_requests_with_it(home: Home) {
    home.active("u1").await;
    let parked = home.parked("u1").await;
    home.asked_with("other", |create| create.uow_id = Some("u1".to_owned())).await;
    let done = home.units("acme").pilot("u1", PilotAction::Cancel { reason: reason() }, pilot("ann"), after(12)).await;
    let done = done.expect("cancelled");
    assert_eq!((done.moved[0].unit.status, done.changed.len()), (UnitStatus::Failed, 2));
    for id in [parked.request_id.as_str(), "other"] {
        let request = found(&home.of("acme"), id, after(13)).await.expect("it is there");
        let reason = "the unit has failed: because";
        assert_eq!((request.status, request.action_reason.as_deref()), (Status::Rejected, Some(reason)), "{id}");
    }
}

async fn sweep(control: &Control, seconds: i64) -> usize {
    control.sweep_units(Duration::from_secs(300), after(seconds)).await.expect("swept").moved.len()
}

async fn silence_is_swept_once_and_heartbeats_bring_back(home: Home) {
    for id in ["u1", "u2"] {
        home.active(id).await;
    }
    home.registered("acme", "waits").await;
    let units = home.units("acme");
    let agent = || Actor::new("agent-1", Role::Operator);
    let beat = async |id: &str, seconds: i64| units.heartbeat(id, agent(), after(seconds)).await;
    let heard = beat("u2", 200).await.expect("heard");
    assert_eq!((heard.0.version, heard.1.is_none()), (2, true), "a heartbeat is no change");
    assert_eq!(sweep(&home.control, 309).await, 0);
    let sweeps = [(); 4].map(|()| {
        let control = home.control.clone();
        tokio::spawn(async move { sweep(&control, 310).await })
    });
    let mut swept = 0;
    for one in sweeps {
        swept += one.await.expect("it ends");
    }
    assert_eq!((swept, home.unit("u1").await.status), (1, UnitStatus::ZombiedSoft));
    assert_eq!(home.unit("u2").await.status, UnitStatus::Active);
    let (back, moved) = beat("u1", 320).await.expect("heard");
    assert_eq!((back.status, moved.is_some()), (UnitStatus::Active, true));
    assert_eq!(sweep(&home.control, 500).await, 1, "the other one");
    let clarified = home.act("u2", PilotAction::Clarify { text: "the blue one".to_owned() }).await.expect("told");
    assert_eq!(
        (clarified.status, clarified.clarification.map(|it| it.text).as_deref()),
        (UnitStatus::Active, Some("the blue one"))
    );
    assert_eq!(sweep(&home.control, 620).await, 2);
    assert_eq!(sweep(&home.control, 919).await, 0);
    assert_eq!(sweep(&home.control, 920).await, 2);
    assert_eq!(home.unit("u1").await.status, UnitStatus::ZombiedDead);
    assert!(matches!(beat("u1", 921).await, Err(UnitError::Refused(_))), "it does not come back");
    assert_eq!((sweep(&home.control, 99_999).await, home.unit("waits").await.status), (0, UnitStatus::Pending));
}

async fn an_organisations_rules_hold_for_every_unit(home: Home) {
    let units = home.units("acme");
    let rule = |step: &str| -> GuardRule {
        let guardian = json!({"type": "DIRECTIONAL_FILTER", "deny": [{"from": "*", "to": step}]});
        serde_json::from_value(json!({"rule_id": "org", "guardian": guardian})).expect("a rule")
    };
    home.active("u1").await;
    for step in ["first", "test"] {
        units.keep_rule(rule(step), &admin("root"), start()).await.expect("an answer").expect("kept");
    }
    let kept = units.rules().await.expect("an answer");
    assert_eq!((kept.len(), &kept[0].rule), (1, &rule("test")));
    assert!(home.units("globex").rules().await.expect("an answer").is_empty());
    assert_eq!(home.report("acme", "u1", "first").await.expect("decided").0, Outcome::Allowed);
    let (outcome, unit) = home.report("acme", "u1", "test").await.expect("decided");
    assert_eq!((outcome, unit.blocked.map(|hold| hold.rule_id).as_deref()), (Outcome::Denied, Some("org")));
    assert!(!home.units("globex").remove_rule("org", &admin("root"), start()).await.expect("an answer"));
    assert!(units.remove_rule("org", &admin("root"), start()).await.expect("an answer"));
    for number in 0..64 {
        let rule = GuardRule { rule_id: format!("r{number}"), ..rule("x") };
        assert!(units.keep_rule(rule, &admin("root"), start()).await.expect("an answer").is_some());
    }
    assert!(units.keep_rule(rule("x"), &admin("root"), start()).await.expect("an answer").is_none(), "one too many");
}

async fn pages_hold_every_unit_once(home: Home) {
    for number in 0..7 {
        home.registered("acme", &format!("u{number}")).await;
    }
    home.report("acme", "u3", "build").await.expect("begun");
    let units = home.units("acme");
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let query = ListUnits { limit: Some(3), instance_id: Some("i-1".to_owned()), ..ListUnits::default() };
        let (items, next) = units.list(query, cursor).await.expect("a page");
        seen.extend(items.into_iter().map(|unit| unit.uow_id));
        match next {
            Some(next) => cursor = Some(next.parse().expect("a cursor")),
            None => break,
        }
    }
    assert_eq!(seen, ["u6", "u5", "u4", "u3", "u2", "u1", "u0"]);
    let active = ListUnits { status: Some(UnitStatus::Active), ..ListUnits::default() };
    assert_eq!(units.list(active, None).await.expect("a page").0.len(), 1);
    let other = ListUnits { instance_id: Some("i-2".to_owned()), ..ListUnits::default() };
    assert!(units.list(other, None).await.expect("a page").0.is_empty());
}

async fn organisations_do_not_meet(home: Home) {
    home.active("u1").await;
    let parked = home.parked("u1").await;
    let globex = home.units("globex");
    let root = || admin("root");
    assert!(globex.find("u1").await.expect("an answer").is_none());
    assert!(globex.list(ListUnits::default(), None).await.expect("a page").0.is_empty());
    assert!(matches!(home.report("globex", "u1", "test").await, Err(UnitError::NotFound)));
    assert!(matches!(globex.heartbeat("u1", root(), after(12)).await, Err(UnitError::NotFound)));
    let cancel = PilotAction::Cancel { reason: reason() };
    assert!(matches!(globex.pilot("u1", cancel, root(), after(12)).await, Err(UnitError::NotFound)));
    assert!(globex.kill("i-1", "mine", root(), after(12)).await.expect("an answer").is_empty());
    // The same id is another unit there, and a decision of theirs reaches theirs.
    home.registered("globex", "u1").await;
    let theirs = super::super::request("globex", "r1", |create| {
        create.intervention_type = "cancel".parse().expect("a type");
        create.uow_id = Some("u1".to_owned());
    });
    home.of("globex").create(theirs.clone(), None).await.expect("made");
    home.of("globex").decide("r1", approve(&theirs), root(), after(12)).await.expect("decided");
    let unit = home.unit("u1").await;
    assert_eq!((unit.status, unit.version), (UnitStatus::PendingPilotApproval, 3));
    assert_eq!(found(&home.of("acme"), &parked.request_id, after(13)).await, Some(parked));
}

async fn what_ended_long_ago_is_removed(home: Home) {
    home.active("old").await;
    home.active("live").await;
    home.act("old", PilotAction::Cancel { reason: reason() }).await.expect("cancelled");
    let day = 24 * 60 * 60;
    assert_eq!(home.control.clear_units(90, after(30 * day)).await.expect("cleared"), 0);
    assert_eq!(home.control.clear_units(15, after(30 * day)).await.expect("cleared"), 1);
    assert!(home.units("acme").find("old").await.expect("an answer").is_none());
    assert_eq!(home.unit("live").await.status, UnitStatus::Active);
}
