//! Requests: made, decided, found, and gone.

use super::super::{Created, DecideError, Idempotency};
use super::{Home, after, approve, found, pilot, request, start};
use crate::domain::intervention::{Actor, Command, Refusal};
use std::time::Duration;
use vx11_contracts::intervention::{
    Cursor, Intervention, ListInterventions, OnTimeout, Priority, RedeemBody, Role, Status,
};
use vx11_testing_servers::Postgres;

on_both!(
    a_request_is_made_once_and_found,
    an_idempotency_key_brings_the_same_request_again,
    a_decision_is_kept_with_its_history_and_counts,
    of_two_hundred_pilots_one_decides,
    a_redeemed_decision_is_not_redeemed_again,
    pages_hold_every_request_once_in_order,
    lists_are_filtered,
    what_is_due_is_seen_at_once_and_swept_once,
    a_claim_lapses,
    tenants_do_not_meet,
    what_has_ended_is_found_for_all_who_wait_by_one_look,
    what_is_archived_is_found_until_it_is_cleared,
);

async fn a_request_is_made_once_and_found(home: Home) {
    let asked = home.asked("r1").await;
    let acme = home.of("acme");
    assert_eq!(found(&acme, "r1", start()).await, Some(asked.clone()));
    assert_eq!(found(&acme, "r2", start()).await, None);
    let again = acme.create(asked, None).await.expect("an answer");
    assert!(matches!(again, Created::Exists), "{again:?}");
    // At the same time: one makes it, and the others hear that it is there.
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let acme = acme.clone();
            tokio::spawn(async move { acme.create(request("acme", "r3", |_| {}), None).await.expect("an answer") })
        })
        .collect();
    let mut made = 0;
    for task in tasks {
        made += usize::from(matches!(task.await.expect("it ends"), Created::New));
    }
    assert_eq!(made, 1);
}

async fn an_idempotency_key_brings_the_same_request_again(home: Home) {
    let acme = home.of("acme");
    let key = |digest: &str| Some(Idempotency { key: "k".to_owned(), digest: digest.to_owned() });
    let create = |id, digest| acme.create(request("acme", id, |_| {}), key(digest));
    assert!(matches!(create("r1", "d1").await.expect("an answer"), Created::New));
    match create("r2", "d1").await.expect("an answer") {
        Created::Before(before) => assert_eq!(before.request_id, "r1"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(create("r3", "d2").await.expect("an answer"), Created::OtherBody));
    assert_eq!(acme.metrics().await.expect("an answer").total_interventions, 1);
    // At the same time: one makes it, and all others hear of that one.
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let acme = acme.clone();
            let key = Some(Idempotency { key: "at once".to_owned(), digest: "d".to_owned() });
            let request = request("acme", &format!("s{number}"), |_| {});
            tokio::spawn(async move { acme.create(request, key).await.expect("an answer") })
        })
        .collect();
    let (mut made, mut before) = (0, std::collections::HashSet::new());
    for task in tasks {
        match task.await.expect("it ends") {
            Created::New => made += 1,
            Created::Before(request) => drop(before.insert(request.request_id)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((made, before.len()), (1, 1));
}

async fn a_decision_is_kept_with_its_history_and_counts(home: Home) {
    let asked = home.asked("r1").await;
    let acme = home.of("acme");
    let changed = acme.decide("r1", approve(&asked), pilot("ann"), after(90)).await.expect("decided");
    assert_eq!((changed.after.status, changed.after.version, changed.transitions.len()), (Status::Approved, 2, 1));
    assert_eq!(found(&acme, "r1", after(91)).await, Some(changed.after.clone()));
    let history = acme.history(None, 10).await.expect("an answer");
    assert_eq!(history.len(), 1);
    assert_eq!((history[0].status, history[0].resolution_time_seconds), (Status::Approved, 90.0));
    let metrics = acme.metrics().await.expect("an answer");
    assert_eq!((metrics.total_interventions, metrics.approved_interventions), (1, 1));
    assert_eq!((metrics.pending_interventions, metrics.avg_resolution_time_seconds), (0, 90.0));
    assert_eq!(metrics.top_pilots[0].pilot_id, "ann");
    let missing = acme.decide("r9", approve(&asked), pilot("ann"), after(92)).await;
    assert!(matches!(missing, Err(DecideError::NotFound)), "{missing:?}");
}

async fn of_two_hundred_pilots_one_decides(home: Home) {
    let asked = home.asked("r1").await;
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (acme, command) = (home.of("acme"), approve(&asked));
            tokio::spawn(async move { acme.decide("r1", command, pilot(&format!("p{n}")), after(1)).await })
        })
        .collect();
    let (mut winners, mut told) = (Vec::new(), Vec::new());
    for task in tasks {
        match task.await.expect("it ends") {
            Ok(changed) => winners.push(changed.after.decision.expect("a decision").by),
            Err(DecideError::Refused { refusal: Refusal::WrongState { decision, .. }, .. }) => {
                told.push(decision.expect("the winner's").by);
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!((winners.len(), told.len()), (1, 199));
    assert!(told.iter().all(|winner| *winner == winners[0]));
    assert_eq!(home.of("acme").history(None, 10).await.expect("an answer").len(), 1);
    assert_eq!(home.of("acme").metrics().await.expect("an answer").approved_interventions, 1);
}

async fn a_redeemed_decision_is_not_redeemed_again(home: Home) {
    let asked = home.asked("r1").await;
    let acme = home.of("acme");
    acme.decide("r1", approve(&asked), pilot("ann"), after(1)).await.expect("decided");
    let redeem = || {
        let args_digest = asked.action.as_ref().map(|action| action.args_digest.clone());
        acme.decide("r1", Command::Redeem(RedeemBody { args_digest }), Actor::new("agent-1", Role::Operator), after(2))
    };
    let stranger = Command::Redeem(RedeemBody::default());
    let refused = acme.decide("r1", stranger, Actor::new("agent-2", Role::Operator), after(2)).await;
    assert!(matches!(refused, Err(DecideError::Refused { refusal: Refusal::NotAuthor, .. })), "{refused:?}");
    let (one, other) = tokio::join!(redeem(), redeem());
    assert_eq!([one.is_ok(), other.is_ok()].into_iter().filter(|redeemed| *redeemed).count(), 1);
    assert_eq!(acme.metrics().await.expect("an answer").completed_interventions, 1);
}

async fn pages_hold_every_request_once_in_order(home: Home) {
    for number in 0..25 {
        let priority = Priority::ALL[number % Priority::ALL.len()];
        home.asked_with(&format!("r{number:02}"), |create| create.priority = priority).await;
    }
    let acme = home.of("acme");
    for status in [Status::Pending, Status::Approved] {
        let (mut seen, mut cursor): (Vec<Intervention>, Option<Cursor>) = (Vec::new(), None);
        loop {
            let query = ListInterventions { status: Some(status), limit: Some(7), ..Default::default() };
            let page = acme.list(query, cursor, start()).await.expect("a page");
            seen.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next.parse().expect("a cursor")),
                None => break,
            }
        }
        assert_eq!(seen.len(), 25);
        let key = |row: &Intervention| (row.priority.rank(), row.created_at.clone(), row.request_id.clone());
        match status {
            Status::Pending => assert!(seen.is_sorted_by_key(key)),
            _ => assert!(seen.iter().rev().is_sorted_by_key(|row| (row.created_at.clone(), row.request_id.clone()))),
        }
        for row in seen.iter().filter(|row| row.status == Status::Pending) {
            acme.decide(&row.request_id, approve(row), pilot("ann"), after(1)).await.expect("decided");
        }
    }
}

async fn lists_are_filtered(home: Home) {
    home.asked_with("r1", |create| create.uow_id = Some("u1".to_owned())).await;
    home.asked_with("r2", |create| create.assigned_to = Some("ann".to_owned())).await;
    home.asked_with("r3", |create| create.intervention_type = "deploy".parse().expect("a type")).await;
    home.asked_with("r4", |create| create.priority = Priority::Critical).await;
    let acme = home.of("acme");
    let all = ListInterventions::default();
    for (query, ids) in [
        (ListInterventions { uow_id: Some("u1".to_owned()), ..all.clone() }, vec!["r1"]),
        (ListInterventions { pilot_id: Some("ann".to_owned()), ..all.clone() }, vec!["r2"]),
        (ListInterventions { intervention_type: Some("deploy".parse().expect("a type")), ..all.clone() }, vec!["r3"]),
        (ListInterventions { priority: Some(Priority::Critical), ..all.clone() }, vec!["r4"]),
        (ListInterventions { status: Some(Status::Expired), ..all.clone() }, vec![]),
        (ListInterventions { offset: Some(3), ..all.clone() }, vec!["r3"]),
        (all, vec!["r4", "r1", "r2", "r3"]),
    ] {
        let page = acme.list(query.clone(), None, start()).await.expect("a page");
        let found: Vec<_> = page.items.iter().map(|row| row.request_id.as_str()).collect();
        assert_eq!(found, ids, "{query:?}");
    }
}

async fn what_is_due_is_seen_at_once_and_swept_once(home: Home) {
    home.asked_with("rejects", |create| create.expires_in_seconds = Some(10)).await;
    home.asked_with("approves", |create| {
        create.expires_in_seconds = Some(10);
        create.on_timeout = OnTimeout::Approve;
    })
    .await;
    home.asked_with("never", |create| create.expires_in_seconds = None).await;
    let acme = home.of("acme");
    // What is told is written, by the first who looks.
    for is_first in [true, false] {
        let looked = acme.look("approves", after(10)).await.expect("an answer").expect("it is there");
        assert_eq!((looked.request.status, looked.settled.is_some()), (Status::Approved, is_first));
    }
    let pending = acme.list(ListInterventions::default(), None, after(10)).await.expect("a page");
    assert_eq!(pending.items.len(), 1);
    // Several replicas sweep at once.
    let sweeps = [(); 4].map(|()| {
        let control = home.control.clone();
        tokio::spawn(async move { control.mark_expired(after(11)).await.expect("swept").changed.len() })
    });
    let mut swept = 0;
    for sweep in sweeps {
        swept += sweep.await.expect("it ends");
    }
    assert_eq!(swept, 1);
    let metrics = acme.metrics().await.expect("an answer");
    assert_eq!((metrics.expired_interventions, metrics.approved_interventions), (1, 1));
    assert_eq!((metrics.pending_interventions, metrics.top_pilots.len()), (1, 0));
    assert_eq!(acme.history(None, 10).await.expect("an answer").len(), 2);
}

async fn a_claim_lapses(home: Home) {
    let asked = home.asked("r1").await;
    let acme = home.of("acme");
    let claim = || Command::Claim { lease: Duration::from_secs(60) };
    acme.decide("r1", claim(), pilot("ann"), after(1)).await.expect("claimed");
    let other = acme.decide("r1", approve(&asked), pilot("bob"), after(2)).await;
    assert!(matches!(other, Err(DecideError::Refused { refusal: Refusal::ClaimedBy { .. }, .. })), "{other:?}");
    assert_eq!(acme.metrics().await.expect("an answer").in_progress_interventions, 1);
    assert!(home.control.mark_expired(after(30)).await.expect("swept").changed.is_empty());
    home.control.mark_expired(after(61)).await.expect("swept");
    assert_eq!(acme.metrics().await.expect("an answer").pending_interventions, 1);
    let pending = acme.list(ListInterventions::default(), None, after(61)).await.expect("a page");
    assert_eq!(pending.items[0].claimed_by, None);
    acme.decide("r1", claim(), pilot("bob"), after(62)).await.expect("claimed");
}

async fn tenants_do_not_meet(home: Home) {
    let asked = home.asked("r1").await;
    let globex = home.of("globex");
    assert_eq!(found(&globex, "r1", start()).await, None);
    let foreign = globex.decide("r1", approve(&asked), Actor::new("eve", Role::Admin), after(1)).await;
    assert!(matches!(foreign, Err(DecideError::NotFound)), "{foreign:?}");
    assert!(globex.list(ListInterventions::default(), None, start()).await.expect("a page").items.is_empty());
    assert_eq!(globex.metrics().await.expect("an answer").total_interventions, 0);
    // The same id in another organisation is another request, and the same key another key.
    let key = || Some(Idempotency { key: "k".to_owned(), digest: "d".to_owned() });
    assert!(matches!(globex.create(request("globex", "r1", |_| {}), key()).await.expect("an answer"), Created::New));
    let created = home.of("acme").create(request("acme", "r2", |_| {}), key()).await.expect("an answer");
    assert!(matches!(created, Created::New));
    globex.decide("r1", approve(&asked), pilot("gil"), after(1)).await.expect("decided");
    assert_eq!(found(&home.of("acme"), "r1", after(2)).await, Some(asked));
    assert!(home.of("acme").history(None, 10).await.expect("an answer").is_empty());
}

async fn what_has_ended_is_found_for_all_who_wait_by_one_look(home: Home) {
    let org = |id: &str| id.parse::<vx11_contracts::identity::OrgId>().expect("an id");
    for (of, id) in [("acme", "r1"), ("acme", "r2"), ("globex", "r1"), ("globex", "r3")] {
        let request = request(of, id, |_| {});
        home.of(of).create(request.clone(), None).await.expect("an answer");
        if id != "r2" {
            let decided = home.of(of).decide(id, approve(&request), pilot("ann"), after(1)).await;
            assert_eq!(decided.expect("decided").after.status, Status::Approved);
        }
    }
    let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let wanted = vec![(org("acme"), ids(&["r1", "r2", "none"])), (org("globex"), ids(&["r1", "r2"]))];
    let ended = home.control.ended_among(wanted).await.expect("an answer");
    let mut ended: Vec<_> = ended.iter().map(|found| (found.org_id.as_str(), found.request_id.as_str())).collect();
    ended.sort_unstable();
    assert_eq!(ended, [("acme", "r1"), ("globex", "r1")]);
    assert!(home.control.ended_among(Vec::new()).await.expect("an answer").is_empty());
}

async fn what_is_archived_is_found_until_it_is_cleared(home: Home) {
    let day = 24 * 60 * 60;
    for (id, decided) in [("old", 1), ("new", 20 * day)] {
        let asked = home.asked_with(id, |create| create.expires_in_seconds = None).await;
        home.of("acme").decide(id, approve(&asked), pilot("ann"), after(decided)).await.expect("decided");
    }
    home.asked_with("open", |create| create.expires_in_seconds = None).await;
    let acme = home.of("acme");
    assert_eq!(home.control.clear_archived(90, after(30 * day)).await.expect("cleared"), 0);
    assert!(found(&acme, "old", after(30 * day)).await.is_some());
    assert_eq!(home.control.clear_archived(15, after(30 * day)).await.expect("cleared"), 1);
    assert!(found(&acme, "old", after(30 * day)).await.is_none());
    assert_eq!(acme.history(None, 10).await.expect("an answer").len(), 1);
    let metrics = acme.metrics().await.expect("an answer");
    assert_eq!((metrics.total_interventions, metrics.pending_interventions), (2, 1));
}
