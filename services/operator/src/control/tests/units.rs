//! Units of work, and what decisions do to them.

use vx11_contracts::unit::{GuardRule, ListUnits, Outcome, RegisterUnit, Transition, Unit, UnitAction, UnitStatus};

use super::{
    Actor, AnswerFormat, Asked, Command, Control, CreateIntervention, DecideError, DecisionBody, Duration, Home,
    Intervention, OnTimeout, Postgres, Role, Status, after, found, json, pilot, start,
};
use crate::control::{Report, UnitError, Units};
use crate::domain::intervention::open;
use crate::domain::unit::{PilotAction, Registered, register};

on_both!(
    a_unit_is_registered_once_and_found_with_its_history,
    what_is_parked_opens_a_request_and_its_approval_lets_it_pass_once,
    a_rejected_request_stops_its_unit,
    of_many_who_resume_one_does_and_the_transition_passes_once,
    a_waiver_is_on_record_and_used_once,
    a_kill_switch_and_transitions_at_once_leave_nothing_active,
    an_agent_that_fails_withdraws_what_is_its_own_only,
    a_decision_and_its_effect_are_one,
    time_approves_nothing_for_units,
    a_unit_that_fails_takes_its_requests_with_it,
    what_is_not_registered_is_cancelled_by_its_requests,
    a_unit_is_cancelled_while_a_pilot_decides_about_it_and_neither_waits_for_the_other,
    a_plan_that_waits_is_resumed_by_its_approval_alone,
    silence_is_swept_once_and_heartbeats_bring_back,
    an_organisations_rules_hold_for_every_unit,
    pages_hold_every_unit_once,
    organisations_do_not_meet,
    what_ended_long_ago_is_removed,
);

impl Home {
    fn units(&self, org: &str) -> Units {
        self.control.units(org)
    }

    /// A unit of `acme`'s agent, at work. It parks what goes to `deploy`, and refuses what goes to `drop`.
    async fn active(&self, id: &str) -> Unit {
        self.registered("acme", id).await;
        let done = self.report("acme", id, "build").await.expect("begun");
        done.1
    }

    async fn registered(&self, org: &str, id: &str) {
        let (unit, event) = made(org, id);
        self.units(org).register(unit, event).await.expect("registered");
    }

    async fn report(&self, org: &str, id: &str, step: &str) -> Result<(Outcome, Unit), UnitError> {
        report(&self.units(org), id, step).await
    }

    async fn unit(&self, id: &str) -> Unit {
        self.units("acme").find(id).await.expect("an answer").expect("it is there").unit
    }

    async fn act(&self, id: &str, action: PilotAction) -> Result<Unit, UnitError> {
        let done = self.units("acme").pilot(id, action, pilot("ann"), after(20)).await?;
        Ok(done.moved[0].unit.clone())
    }

    /// The request that a unit is parked for.
    async fn parked(&self, id: &str) -> Intervention {
        let (outcome, unit) = self.report("acme", id, "deploy").await.expect("parked");
        assert_eq!((outcome, unit.status), (Outcome::Parked, UnitStatus::PendingPilotApproval));
        let request = unit.parked.expect("a hold").request_id.expect("a request");
        found(&self.of("acme"), &request, start()).await.expect("it is there")
    }
}

fn made(org: &str, id: &str) -> (Unit, vx11_contracts::unit::UnitEvent) {
    let rule = |id: &str, step: &str, otherwise: &str| {
        let guardian = json!({"type": "DIRECTIONAL_FILTER", "deny": [{"from": "*", "to": step}]});
        json!({"rule_id": id, "guardian": guardian, "otherwise": otherwise})
    };
    let asked: RegisterUnit = serde_json::from_value(json!({
        "uow_id": id,
        "instance_id": "i-1",
        "title": "Ship it",
        "rules": [rule("look", "deploy", "park"), rule("never", "drop", "deny")],
    }))
    .expect("a unit");
    let (org_id, by) = (org.to_owned(), "agent-1".to_owned());
    register(asked, Registered { org_id, by, uow_id: String::new(), correlation_id: None }, start())
}

async fn report(units: &Units, id: &str, step: &str) -> Result<(Outcome, Unit), UnitError> {
    let asked = Transition { step: Some(step.to_owned()), ..Transition::default() };
    let report = Report { asked, request_id: uuid::Uuid::now_v7().to_string(), correlation_id: None };
    let (done, verdict) = units.report(id, report, Actor::new("agent-1", Role::Operator), after(10)).await?;
    Ok((verdict.outcome, done.moved[0].unit.clone()))
}

fn reason() -> String {
    "because".to_owned()
}

fn approve(request: &Intervention) -> Command {
    Command::Approve(DecisionBody { version: request.version, args_digest: None, reason: Some(reason()) })
}

fn admin(name: &str) -> Actor {
    Actor::new(name, Role::Admin)
}

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
    let theirs = super::request("globex", "r1", |create| {
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
