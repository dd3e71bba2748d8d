//! Claims, decisions and the expiry of one request at the same instant: whatever the database lets through is one
//! history, which the state machine allows.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};

use super::{Actor, Control, Created, DecideError, Home, Intervention, Postgres, Refusal, Status};
use crate::control::Changed;
use crate::domain::intervention::TIMEOUT;
use crate::domain::intervention::fixture::at;
use crate::domain::intervention::model::{actors, command, requests};

/// What one racer tries, who that is, and how many seconds after the request was made they believe it to be.
type Try = (u8, Actor, i64);

/// Cases for each database: a few seconds' worth.
const CASES: u32 = 48;

on_both!(what_races_is_one_history);

fn races() -> impl Strategy<Value = (Intervention, Vec<Try>)> {
    // Around one instant, which for many of the requests is the last of their time.
    let tries = |instant: i64| prop::collection::vec((0_u8..14, actors(), instant - 1..=instant + 1), 2..24);
    (requests(), 0_i64..400).prop_flat_map(move |(request, instant)| {
        let due = request.expires_at.as_ref().map(|due| seconds(due)).filter(|due| *due > 0);
        (Just(request), tries(due.unwrap_or(instant)))
    })
}

/// Seconds since the requests of the model were made.
fn seconds(time: &str) -> i64 {
    let time: jiff::Timestamp = time.parse().expect("a time");
    time.duration_since(at(0)).as_secs()
}

async fn what_races_is_one_history(home: Home) {
    let control = home.control.clone();
    let all = move || {
        let runtime = tokio::runtime::Handle::current();
        let number = std::cell::Cell::new(0_u32);
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        let raced = TestRunner::new(config).run(&races(), |(mut request, tries)| {
            number.set(number.get() + 1);
            // An organisation of its own: what is due in those of other cases is counted there.
            request.org_id = format!("org-{}", number.get());
            runtime.block_on(race(&control, request, tries))
        });
        match raced {
            Ok(()) => {}
            Err(TestError::Fail(reason, (request, tries))) => panic!("{reason}\n{request:#?}\n{tries:#?}"),
            Err(error) => panic!("{error}"),
        }
    };
    tokio::task::spawn_blocking(all).await.expect("one history");
}

async fn race(control: &Control, request: Intervention, tries: Vec<Try>) -> Result<(), TestCaseError> {
    let of_org = control.interventions(&*request.org_id);
    let created = of_org.create(request.clone(), None).await.expect("an answer");
    prop_assert!(matches!(created, Created::New));
    let before = of_org.metrics().await.expect("an answer");
    let racers: Vec<_> = tries
        .into_iter()
        .map(|(kind, actor, second)| tokio::spawn(one(control.clone(), request.clone(), kind, actor, second)))
        .collect();
    let mut all = Heard::default();
    for racer in racers {
        let Heard { told, refused, seen } = racer.await.expect("it ends");
        all.told.extend(told);
        all.refused.extend(refused);
        all.seen.extend(seen);
    }
    let Heard { told, refused, seen } = all;
    let history = of_org.history(Some(request.request_id.clone()), 10).await.expect("an answer");
    let stored = of_org.look(&request.request_id, at(-1)).await.expect("an answer").expect("it is there").request;
    is_one_history(&request, &told, &stored)?;
    let ended = !stored.status.is_open();
    prop_assert_eq!(history.len(), usize::from(ended), "one row of history where the wait is over");
    for refusal in refused {
        if let Refusal::WrongState { decision: Some(decision), .. } = refusal {
            let winner = stored.decision.as_ref().map(|decision| &decision.by);
            prop_assert_eq!(Some(&decision.by), winner, "who lost was told who won");
        }
    }
    for seen in seen.iter().filter(|seen| !seen.status.is_open()) {
        let is_kept = seen.status == stored.status || stored.status == Status::Completed;
        prop_assert!(is_kept, "{} was seen, and {} is kept", seen.status, stored.status);
    }
    let metrics = of_org.metrics().await.expect("an answer");
    prop_assert_eq!(metrics.total_interventions, before.total_interventions);
    let open = |metrics: &vx11_contracts::intervention::InterventionMetrics| {
        metrics.pending_interventions + metrics.in_progress_interventions
    };
    prop_assert_eq!(open(&before) - open(&metrics), u64::from(ended), "the counts are those of the rows");
    Ok(())
}

/// What racers heard.
#[derive(Default)]
struct Heard {
    told: Vec<Changed>,
    refused: Vec<Refusal>,
    seen: Vec<Intervention>,
}

async fn one(control: Control, request: Intervention, kind: u8, actor: Actor, second: i64) -> Heard {
    let Intervention { request_id: id, org_id: org, .. } = &request;
    let of_org = control.interventions(&**org);
    let mut heard = Heard::default();
    match kind {
        // The sweeper of a replica, which may come upon requests of other cases, too.
        10 | 11 => {
            let swept = control.mark_expired(at(second)).await.expect("swept");
            heard.told.extend(swept.changed.into_iter().filter(|changed| changed.after.org_id == *org));
        }
        12.. => {
            let looked = of_org.look(id, at(second)).await.expect("an answer").expect("it is there");
            heard.told.extend(looked.settled);
            heard.seen.push(looked.request);
        }
        _ => match of_org.decide(id, command(kind, request.version, &request), actor, at(second)).await {
            Ok(changed) => heard.told.push(changed),
            Err(DecideError::Refused { refusal, settled }) => {
                heard.told.extend(settled.map(|settled| *settled));
                heard.refused.push(refusal);
            }
            Err(error) => panic!("{error}"),
        },
    }
    heard
}

/// Whether the changes that racers were told, in the order of their versions, lead from `made` to `stored`, each from
/// where the one before ended, and end the wait once at most.
fn is_one_history(made: &Intervention, told: &[Changed], stored: &Intervention) -> Result<(), TestCaseError> {
    let mut steps = BTreeMap::new();
    for step in told.iter().flat_map(|changed| &changed.transitions) {
        prop_assert!(steps.insert(step.version, step).is_none(), "two racers made version {}", step.version);
    }
    let (mut version, mut status, mut ends) = (made.version, made.status, 0);
    for step in steps.values() {
        prop_assert_eq!(step.version, version + 1, "no version is missing");
        // A claim that lapsed is gone without a step.
        let lapsed = status == Status::InProgress && step.from == Status::Pending;
        prop_assert!(step.from == status || lapsed, "{} after {}", step.from, status);
        let stays = step.from == step.to && step.from.is_open();
        prop_assert!(stays || step.from.may_become(step.to), "{} -> {}", step.from, step.to);
        ends += u8::from(step.from.is_open() && !step.to.is_open());
        if step.to == Status::Expired {
            prop_assert_eq!(step.by.as_str(), TIMEOUT);
        }
        (version, status) = (step.version, step.to);
    }
    prop_assert_eq!(stored.version, version, "what was told is what is kept");
    let lapsed = status == Status::InProgress && stored.status == Status::Pending;
    prop_assert!(stored.status == status || lapsed, "{} is kept, {} was told", stored.status, status);
    prop_assert!(ends <= 1, "the wait ends once");
    Ok(())
}
