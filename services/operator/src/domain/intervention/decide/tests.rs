use std::time::Duration;

use serde_json::json;
use vx11_contracts::intervention::{
    CreateIntervention, EscalationStep, HumanResponse, InterventionType, OnTimeout, Quorum,
};

use super::super::RefusalClass;
use super::super::actor::TIMEOUT;
use super::super::due::seen_at;
use super::super::fixture::{admin, at, create, pilot, request, seen};
use super::*;

const LEASE: Duration = Duration::from_secs(600);

fn approve(version: i64) -> Command {
    Command::Approve(seen(version))
}

fn claimed() -> Intervention {
    decide(&request(create()), &Command::Claim { lease: LEASE }, &pilot("ana"), at(1)).expect("claims").after
}

fn approved() -> Intervention {
    decide(&request(create()), &approve(1), &pilot("ana"), at(5)).expect("approves").after
}

#[test]
fn the_second_of_two_decisions_is_refused_with_the_first() {
    let change = decide(&request(create()), &approve(1), &pilot("ana"), at(5)).expect("approves");
    assert_eq!((change.from_version, change.after.version), (1, 2));
    let history = change.history.expect("a row");
    assert_eq!((history.resolution_time_seconds, history.assigned_to.as_deref()), (5.0, Some("ana")));

    let second = decide(&change.after, &Command::Reject(seen(1)), &pilot("bob"), at(6)).expect_err("too late");
    assert_eq!(second.class(), RefusalClass::Conflict);
    let Refusal::WrongState { status: Status::Approved, decision: Some(winner), .. } = second else {
        panic!("{second:?}");
    };
    assert_eq!((winner.by.as_str(), winner.kind), ("ana", DecisionKind::Approve));
}

#[test]
fn a_decision_is_bound_to_what_the_pilot_saw() {
    let stale = decide(&claimed(), &approve(1), &pilot("ana"), at(5)).expect_err("an old version");
    assert_eq!(stale, Refusal::StaleVersion { seen: 1, current: 2 });
    let other = DecisionBody { args_digest: Some("0".repeat(64)), ..seen(1) };
    let wrong =
        decide(&request(create()), &Command::Approve(other), &pilot("ana"), at(5)).expect_err("other arguments");
    assert!(matches!(wrong, Refusal::WrongDigest { current: Some(_) }));
    let same = request(create()).action.expect("an action").args_digest;
    let same = DecisionBody { args_digest: Some(same), ..seen(1) };
    assert!(decide(&request(create()), &Command::Approve(same), &pilot("ana"), at(5)).is_ok());
}

#[test]
fn a_claim_keeps_others_out_until_it_lapses_or_is_given_back() {
    let claimed = claimed();
    let refused =
        |command: &Command, actor: &Actor, now| decide(&claimed, command, actor, at(now)).expect_err("refused");
    let by_ana = Refusal::ClaimedBy { pilot: "ana".to_owned(), until: "2026-11-21T00:10:01.000Z".to_owned() };
    assert_eq!(refused(&approve(2), &pilot("bob"), 600), by_ana);
    assert_eq!(refused(&Command::Claim { lease: LEASE }, &pilot("bob"), 600), by_ana);
    assert_eq!(refused(&Command::Release, &pilot("bob"), 600), by_ana);
    assert!(decide(&claimed, &Command::Release, &admin(), at(600)).is_ok());

    let seen = seen_at(&claimed, at(601));
    assert_eq!((seen.status, seen.claimed_by, seen.version), (Status::Pending, None, 2), "it lapsed");
    for pilot in [pilot("ana"), pilot("bob")] {
        assert!(decide(&claimed, &approve(2), &pilot, at(601)).is_ok());
        assert!(decide(&claimed, &Command::Claim { lease: LEASE }, &pilot, at(601)).is_ok());
    }
    assert!(matches!(refused(&Command::Release, &pilot("ana"), 601), Refusal::WrongState { .. }));
}

#[test]
fn who_is_held_by_the_gateway_does_not_decide() {
    let held = |by: &str, subject: &str| {
        let context = json!({"hold": {"subject": subject}}).as_object().expect("an object").clone();
        Intervention { created_by: by.to_owned(), ..request(CreateIntervention { context, ..create() }) }
    };
    for (asks, decides) in [("github:ann", "github:ann"), ("pilot:ann", "ann"), ("pilot:root", "root")] {
        let pilot = Actor::new(decides, Role::Admin);
        for command in [approve(1), Command::Reject(seen(1)), Command::Claim { lease: LEASE }] {
            assert_eq!(decide(&held("service", asks), &command, &pilot, at(1)), Err(Refusal::OwnRequest), "{asks}");
        }
        assert!(decide(&held("service", asks), &approve(1), &Actor::new("bob", Role::Operator), at(1)).is_ok());
        assert!(decide(&held("agent", asks), &approve(1), &pilot, at(1)).is_ok(), "anybody may write that");
    }
}

#[test]
fn a_role_decides_up_to_what_is_required() {
    let viewer = Actor::new("eve", Role::Viewer);
    let low = Refusal::RoleTooLow { needed: Role::Operator };
    for command in [approve(1), Command::Reject(seen(1)), Command::Claim { lease: LEASE }, Command::Release] {
        assert_eq!(decide(&request(create()), &command, &viewer, at(1)), Err(low.clone()));
    }
    let for_viewers = CreateIntervention { required_role: Role::Viewer, ..create() };
    assert_eq!(decide(&request(for_viewers), &approve(1), &viewer, at(1)), Err(low));
    let kill = InterventionType::KILL_SWITCH.parse().expect("a type");
    let for_admins = [
        CreateIntervention { intervention_type: kill, ..create() },
        CreateIntervention { required_role: Role::Admin, ..create() },
    ];
    for create in for_admins {
        let stored = request(create);
        let refused = decide(&stored, &approve(1), &pilot("ana"), at(1)).expect_err("an admin's");
        assert_eq!(refused.class(), RefusalClass::Forbidden);
        assert!(decide(&stored, &approve(1), &admin(), at(1)).is_ok());
    }
}

#[test]
fn what_the_request_does_not_allow_is_refused() {
    let stored = request(CreateIntervention { allow: vec![DecisionKind::Reject], ..create() });
    let refused = decide(&stored, &approve(1), &pilot("ana"), at(1)).expect_err("not allowed");
    assert_eq!(refused, Refusal::NotAllowed { kind: DecisionKind::Approve, allow: vec![DecisionKind::Reject] });
}

#[test]
fn a_waiver_needs_a_reason() {
    let waiver = InterventionType::WAIVE_VIOLATION.parse().expect("a type");
    let stored = request(CreateIntervention { intervention_type: waiver, ..create() });
    let with = |reason: &str| Command::Approve(DecisionBody { reason: Some(reason.to_owned()), ..seen(1) });
    let refused = decide(&stored, &with("  "), &admin(), at(1)).expect_err("no reason");
    assert_eq!(refused.class(), RefusalClass::Invalid);
    assert!(decide(&stored, &with("known and harmless"), &admin(), at(1)).is_ok());
}

#[test]
fn an_edit_says_what_was_changed_and_has_its_own_digest() {
    let args = json!({"env": "test"}).as_object().expect("an object").clone();
    let edit = Command::Edit(EditBody { version: 1, args: args.clone(), ..EditBody::default() });
    let after = decide(&request(create()), &edit, &pilot("ana"), at(1)).expect("edits").after;
    let decision = after.decision.clone().expect("a decision");
    assert_eq!(decision.changes, Some(vec![json!({"op": "replace", "path": "/env", "value": "test"})]));
    let runnable = after.runnable().expect("approved");
    assert_eq!((runnable.args.clone(), runnable.args_digest.clone()), (args.clone(), args_digest("deploy", &args)));
    assert_ne!(runnable.args_digest, after.action.as_ref().expect("an action").args_digest);
    let answer = serde_json::to_value(HumanResponse::of(&after)).expect("JSON");
    assert_eq!(answer, json!({"type": "edit", "args": {"action": "deploy", "args": {"env": "test"}}}));
}

#[test]
fn a_text_answers_a_question_and_stops_an_action() {
    let respond =
        Command::Respond(RespondBody { version: 1, text: "use staging".to_owned(), ..RespondBody::default() });
    let of = |create| decide(&request(create), &respond, &pilot("ana"), at(1)).expect("responds").after;
    let action = of(create());
    assert_eq!((action.status, action.runnable()), (Status::Rejected, None));
    let answer = serde_json::to_value(HumanResponse::of(&action)).expect("JSON");
    assert_eq!(answer, json!({"type": "response", "args": "use staging"}));
    let question = CreateIntervention { allow: vec![DecisionKind::Respond], ..CreateIntervention::new("Which one?") };
    assert_eq!(of(question).status, Status::Approved);
}

#[test]
fn a_decision_is_redeemed_once_with_the_digest_of_what_was_approved() {
    let stored = approved();
    let redeem = |stored: &Intervention, digest: Option<&str>| {
        let body = RedeemBody { args_digest: digest.map(str::to_owned) };
        decide(stored, &Command::Redeem(body), &Actor::new("agent", Role::Viewer), at(9))
    };
    let digest = stored.action.as_ref().expect("an action").args_digest.clone();
    assert_eq!(redeem(&stored, None).expect_err("no digest").class(), RefusalClass::Invalid);
    assert!(matches!(redeem(&stored, Some("other")), Err(Refusal::WrongDigest { .. })));
    let change = redeem(&stored, Some(&digest)).expect("redeems");
    assert_eq!((change.after.status, change.history), (Status::Completed, None));
    assert_eq!(change.after.decision.as_ref().and_then(|d| d.redeemed_by.as_deref()), Some("agent"));
    assert!(matches!(redeem(&change.after, Some(&digest)), Err(Refusal::WrongState { .. })));
    assert!(matches!(redeem(&request(create()), Some(&digest)), Err(Refusal::WrongState { .. })), "undecided");
    let stranger = Actor::new("eve", Role::Viewer);
    let body = RedeemBody { args_digest: Some(digest) };
    assert_eq!(decide(&stored, &Command::Redeem(body), &stranger, at(9)), Err(Refusal::NotAuthor));
}

#[test]
fn whoever_asked_can_withdraw_it_even_when_it_is_claimed() {
    let cancel = Command::Cancel(CancelBody::default());
    let author = Actor::new("agent", Role::Viewer);
    let after = decide(&claimed(), &cancel, &author, at(5)).expect("withdraws").after;
    assert_eq!((after.status, after.action_reason.as_deref()), (Status::Rejected, Some("withdrawn")));
    assert_eq!(decide(&claimed(), &cancel, &pilot("bob"), at(5)), Err(Refusal::NotAuthor));
}

#[test]
fn a_pilot_who_did_it_closes_the_request_they_claimed() {
    let complete = Command::Complete(CompleteBody { reason: Some("done by hand".to_owned()) });
    let change = decide(&claimed(), &complete, &pilot("ana"), at(5)).expect("closes");
    assert_eq!((change.after.status, change.after.decision.is_none()), (Status::Completed, true));
    assert!(change.history.is_some());
    assert!(matches!(decide(&claimed(), &complete, &pilot("bob"), at(5)), Err(Refusal::ClaimedBy { .. })));
    let unclaimed = decide(&request(create()), &complete, &pilot("ana"), at(5));
    assert!(matches!(unclaimed, Err(Refusal::WrongState { .. })));
}

#[test]
fn an_expired_request_is_expired_for_whoever_looks_and_cannot_be_decided() {
    let stored = request(create());
    assert_eq!(seen_at(&stored, at(3599)).status, Status::Pending);
    assert_eq!(decide(&stored, &Command::Expire, &Actor::timeout(), at(3599)), Err(Refusal::NotDue));
    let late = decide(&stored, &approve(1), &pilot("ana"), at(3600)).expect_err("too late");
    assert!(matches!(late, Refusal::WrongState { status: Status::Expired, .. }));
    let swept = decide(&stored, &Command::Expire, &Actor::timeout(), at(9000)).expect("due");
    assert_eq!(swept.after, seen_at(&stored, at(3600)), "swept late, and as it was seen");
    assert_eq!(swept.after.action_timestamp.as_deref(), Some("2026-11-21T01:00:00.000Z"));
    assert_eq!(swept.history.expect("a row").resolution_time_seconds, 3600.0);
    let ignored = serde_json::to_value(HumanResponse::of(&swept.after)).expect("JSON");
    assert_eq!(ignored, json!({"type": "ignore", "args": null}));
}

#[test]
fn a_timeout_can_approve() {
    let stored = request(CreateIntervention { on_timeout: OnTimeout::Approve, ..create() });
    let after = seen_at(&stored, at(3600));
    assert_eq!((after.status, after.decision.as_ref().map(|d| d.by.as_str())), (Status::Approved, Some(TIMEOUT)));
    assert!(after.runnable().is_some());
}

#[test]
fn an_escalation_asks_step_by_step_and_expires_at_its_end() {
    let person =
        EscalationStep { role: None, pilots: vec!["bob".to_owned()], quorum: Quorum::Any, expires_in_seconds: 100 };
    let create = CreateIntervention {
        on_timeout: OnTimeout::Escalate,
        escalation: vec![person, EscalationStep::to_admins(100)],
        ..create()
    };
    let stored = request(create);
    let first = seen_at(&stored, at(3600));
    assert_eq!((first.status, first.version, first.assigned_to.as_deref()), (Status::Pending, 2, Some("bob")));
    let not_asked = Refusal::NotAsked { pilots: vec!["bob".to_owned()] };
    assert_eq!(decide(&stored, &approve(2), &pilot("ana"), at(3600)), Err(not_asked));
    let change = decide(&stored, &approve(2), &pilot("bob"), at(3600)).expect("asked");
    assert_eq!((change.from_version, change.after.version, change.transitions.len()), (1, 3, 2));

    let second = seen_at(&stored, at(3700));
    assert_eq!((second.version, second.required_role), (3, Role::Admin));
    let low = Refusal::RoleTooLow { needed: Role::Admin };
    assert_eq!(decide(&stored, &approve(3), &pilot("bob"), at(3700)), Err(low));
    assert!(decide(&stored, &approve(3), &admin(), at(3700)).is_ok());
    let end = seen_at(&stored, at(3800));
    assert_eq!((end.status, end.version), (Status::Expired, 4));
    assert_eq!(end, seen_at(&second, at(9000)), "wherever one looks from");
}

#[test]
fn where_everybody_has_to_agree_each_approval_counts_once_and_one_rejection_decides() {
    let everyone = EscalationStep {
        role: None,
        pilots: vec!["ana".to_owned(), "bob".to_owned()],
        quorum: Quorum::All,
        expires_in_seconds: 100,
    };
    let create = CreateIntervention { on_timeout: OnTimeout::Escalate, escalation: vec![everyone], ..create() };
    let stored = seen_at(&request(create), at(3600));
    let one = decide(&stored, &approve(2), &pilot("ana"), at(3601)).expect("counts");
    assert_eq!((one.after.status, one.after.version, one.history), (Status::Pending, 3, None));
    let of = |command: &Command, actor: &Actor| decide(&one.after, command, actor, at(3602));
    assert_eq!(of(&approve(3), &pilot("ana")), Err(Refusal::Quorum), "once");
    assert_eq!(of(&Command::Claim { lease: LEASE }, &pilot("bob")), Err(Refusal::Quorum));
    assert!(matches!(of(&approve(3), &admin()), Err(Refusal::NotAsked { .. })), "nobody stands in");
    let edit = Command::Edit(EditBody { version: 3, ..EditBody::default() });
    assert!(matches!(of(&edit, &pilot("bob")), Err(Refusal::NotAllowed { .. })));
    assert_eq!(of(&approve(3), &pilot("bob")).expect("decides").after.status, Status::Approved);
    assert_eq!(of(&Command::Reject(seen(3)), &pilot("bob")).expect("decides").after.status, Status::Rejected);
}
