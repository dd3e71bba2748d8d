//! What holds whatever anybody does, in any order, at any time.

use std::time::Duration;

use proptest::prelude::*;
use vx11_contracts::intervention::{
    CancelBody, CompleteBody, CreateIntervention, EditBody, EscalationStep, Intervention, OnTimeout, Quorum,
    RedeemBody, RespondBody, Role, Status,
};

use super::fixture::{asked, at, create, seen};
use super::{Actor, Change, Command, TIMEOUT, decide, open, seen_at};

/// A command, who gives it, how many seconds after the one before, and how far off the version they saw is.
type Move = (u8, Actor, u16, i64);

pub(crate) fn command(kind: u8, version: i64, request: &Intervention) -> Command {
    let digest = request.runnable().map(|action| action.args_digest);
    match kind {
        0 => Command::Claim { lease: Duration::from_secs(60) },
        1 => Command::Release,
        2 | 3 => Command::Approve(seen(version)),
        4 => Command::Reject(seen(version)),
        5 => Command::Edit(EditBody { version, ..EditBody::default() }),
        6 => Command::Respond(RespondBody { version, text: "no".to_owned(), ..RespondBody::default() }),
        7 => Command::Cancel(CancelBody::default()),
        8 => Command::Complete(CompleteBody::default()),
        9 => Command::Redeem(RedeemBody { args_digest: digest }),
        _ => Command::Expire,
    }
}

pub(crate) fn actors() -> impl Strategy<Value = Actor> {
    let names = prop::sample::select(vec!["agent", "ana", "bob", "root"]);
    (names, prop::sample::select(Role::ALL.to_vec())).prop_map(|(name, role)| Actor::new(name, role))
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let off = prop_oneof![9 => Just(0_i64), 1 => -1_i64..=1];
    prop::collection::vec((0_u8..12, actors(), 0_u16..200, off), 1..40)
}

pub(crate) fn requests() -> impl Strategy<Value = Intervention> {
    let expiry = prop_oneof![Just(None), Just(Some(-5)), Just(Some(0)), (1_i64..400).prop_map(Some)];
    let pilots = prop::sample::subsequence(vec!["ana".to_owned(), "bob".to_owned()], 1..=2);
    let quorum = prop::sample::select(Quorum::ALL.to_vec());
    let step = (pilots, quorum, 1_i64..200).prop_map(|(pilots, quorum, expires_in_seconds)| EscalationStep {
        role: None,
        pilots,
        quorum,
        expires_in_seconds,
    });
    let steps = prop::collection::vec(step, 0..3);
    (expiry, prop::sample::select(OnTimeout::ALL.to_vec()), steps)
        .prop_map(|(expires_in_seconds, on_timeout, steps)| {
            let escalation = if on_timeout == OnTimeout::Escalate { steps } else { Vec::new() };
            CreateIntervention { expires_in_seconds, on_timeout, escalation, ..create() }
        })
        .prop_filter("not a valid request", |create| create.validate().is_ok())
        .prop_map(|create| open(create, asked(), at(0)))
}

/// Whether `change` is one that may be made to `before`.
fn is_sound(before: &Intervention, change: &Change, now: &str) -> Result<(), TestCaseError> {
    let after = &change.after;
    let steps = i64::try_from(change.transitions.len()).expect("few");
    prop_assert!(steps >= 1);
    prop_assert_eq!(change.from_version, before.version);
    prop_assert_eq!(after.version, before.version + steps, "the version grows by one with each transition");
    prop_assert_eq!(&change.transitions.last().expect("one").to, &after.status);
    for step in &change.transitions {
        let stays = step.from == step.to && step.from.is_open();
        prop_assert!(stays || step.from.may_become(step.to), "{} -> {}", step.from, step.to);
    }
    let ended = before.status.is_open() && !after.status.is_open();
    prop_assert_eq!(change.history.is_some(), ended, "one row of history, from the change that ends the wait");
    if !before.status.is_open() {
        prop_assert_eq!(after.status, Status::Completed, "what ended is only redeemed");
        prop_assert!(before.decision.as_ref().is_some_and(|decision| decision.redeemed_at.is_none()), "once");
        let mut unredeemed = after.decision.clone().expect("stays");
        (unredeemed.redeemed_by, unredeemed.redeemed_at) = (None, None);
        prop_assert_eq!(Some(unredeemed), before.decision.clone(), "the decision stays");
    }
    if let Some(decision) = after.decision.as_ref().filter(|_| ended) {
        let expired = after.expires_at.as_ref().is_some_and(|at| at.as_str() <= now);
        prop_assert!(!expired || decision.by == TIMEOUT, "nobody decides what has expired");
        prop_assert!(decision.by != TIMEOUT || after.on_timeout == OnTimeout::Approve);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_one_decision_wins_and_stays(start in requests(), moves in moves()) {
        let (mut stored, mut seconds, mut decisions, mut redeemed) = (start, 0_i64, 0, 0);
        for (kind, actor, pause, off) in moves {
            seconds += i64::from(pause);
            let now = at(seconds);
            let looked = seen_at(&stored, now);
            prop_assert_eq!(&seen_at(&looked, now), &looked, "a look changes nothing for the next one");
            let Ok(change) = decide(&stored, &command(kind, looked.version + off, &looked), &actor, now) else {
                continue;
            };
            is_sound(&stored, &change, &vx11_contracts::time::render(now))?;
            decisions += u8::from(change.history.is_some());
            redeemed += u8::from(!stored.status.is_open());
            stored = change.after;
        }
        prop_assert!(decisions <= 1 && redeemed <= 1);
        prop_assert_eq!(decisions == 1, !stored.status.is_open());
    }

    #[test]
    fn of_many_who_decide_at_once_one_wins_and_the_others_learn_who(
        start in requests(),
        racers in prop::collection::vec((2_u8..8, actors()), 2..40),
    ) {
        // As the store does it: what was computed from an old version is not written, but decided again.
        let now = at(0);
        let looked = seen_at(&start, now);
        let (mut stored, mut winners) = (start, 0);
        for (kind, actor) in racers {
            match decide(&stored, &command(kind, looked.version, &looked), &actor, now) {
                Ok(change) => {
                    winners += u8::from(change.history.is_some());
                    stored = change.after;
                }
                Err(super::Refusal::WrongState { status, decision, .. }) => {
                    prop_assert_eq!(status, seen_at(&stored, now).status);
                    prop_assert_eq!(decision.map(|winner| *winner), seen_at(&stored, now).decision);
                }
                Err(_) => {}
            }
        }
        prop_assert!(winners <= 1);
    }
}
