//! What is read to learn from requests: of one organisation, within a window, and of the pilots it is about.

use vx11_contracts::identity::OrgId;
use vx11_contracts::intervention::{InterventionType, KeepRouting, Status, WorkingHours};

use super::{Command, DecisionBody, Home, Postgres, Role, after, approve, pilot, request, start};
use crate::control::Person;
use crate::domain::audit::Origin;
use crate::domain::intervention::anomaly::Sample;

on_both!(
    samples_are_the_requests_of_a_window,
    what_ended_is_read_by_window_and_by_pilot,
    candidates_are_who_may_decide_with_their_past,
    what_is_known_of_a_pilot_is_its_organisations_own,
);

async fn decided(home: &Home, id: &str, by: &str, seconds: i64) {
    let asked = home.asked(id).await;
    home.of("acme").decide(id, approve(&asked), pilot(by), after(seconds)).await.expect("decided");
}

async fn samples_are_the_requests_of_a_window(home: Home) {
    decided(&home, "decided", "ann", 1).await;
    home.asked_with("waits", |create| {
        create.uow_id = Some("u-1".to_owned());
        create.assigned_to = Some("bob".to_owned());
    })
    .await;
    home.asked_with("expired", |create| create.expires_in_seconds = Some(1)).await;
    home.of("globex").create(request("globex", "theirs", |_| {}), None).await.expect("made");
    home.control.mark_expired(after(2)).await.expect("swept");
    let insights = home.control.insights("acme");
    let mut found = insights.samples(start()).await.expect("an answer");
    found.rows.sort_by(|one, other| one.request_id.cmp(&other.request_id));
    let sample = |id: &str, status, pilot: Option<&str>| Sample {
        request_id: id.to_owned(),
        created_by: Some("agent-1".to_owned()),
        uow_id: None,
        created_at: start(),
        status,
        pilot: pilot.map(str::to_owned),
    };
    let waits = Sample { uow_id: Some("u-1".to_owned()), ..sample("waits", Status::Pending, Some("bob")) };
    let expected = [sample("decided", Status::Approved, Some("ann")), sample("expired", Status::Expired, None), waits];
    assert_eq!((found.rows.as_slice(), found.is_whole), (expected.as_slice(), true));
    assert!(insights.samples(after(1)).await.expect("an answer").rows.is_empty(), "made before");
}

async fn what_ended_is_read_by_window_and_by_pilot(home: Home) {
    for (id, by, seconds) in [("r1", "ann", 10), ("r2", "bob", 20), ("r3", "ann", 30)] {
        decided(&home, id, by, seconds).await;
    }
    let ended = async |org: &str, since, pilot: Option<&str>| {
        let found = home.control.insights(org).ended(after(since), pilot.map(str::to_owned)).await.expect("an answer");
        found.rows.into_iter().map(|row| row.request_id).collect::<Vec<_>>()
    };
    assert_eq!(ended("acme", 0, None).await, ["r3", "r2", "r1"]);
    assert_eq!(ended("acme", 20, None).await, ["r3", "r2"]);
    assert_eq!(ended("acme", 0, Some("ann")).await, ["r3", "r1"]);
    assert!(ended("globex", 0, None).await.is_empty());
}

async fn logged_in(home: &Home, id: &str, role: Role) {
    let acme: OrgId = "acme".parse().expect("an id");
    let person = Person {
        provider: "corp".to_owned(),
        issuer: "https://id.example.com".to_owned(),
        oauth_id: id.to_owned(),
        pilot_id: id.to_owned(),
        name: id.to_owned(),
        email: None,
    };
    home.control.make_org(&acme, "Acme", &pilot("root"), start()).await.expect("an answer");
    home.control.pilots(&acme).enter(&person, role, &Origin::default(), start()).await.expect("in");
}

async fn candidates_are_who_may_decide_with_their_past(home: Home) {
    for (id, role) in [("ann", Role::Operator), ("bob", Role::Admin), ("eve", Role::Viewer)] {
        logged_in(&home, id, role).await;
    }
    decided(&home, "r1", "ann", 1).await;
    let other = home.asked_with("r2", |create| create.intervention_type = "review".parse().expect("a type")).await;
    let reject = DecisionBody { version: other.version, args_digest: None, reason: None };
    home.of("acme").decide("r2", Command::Reject(reject), pilot("ann"), after(1)).await.expect("decided");
    for id in ["r3", "r4"] {
        home.asked_with(id, |create| {
            create.assigned_to = Some("ann".to_owned());
            create.expires_in_seconds = (id == "r4").then_some(1);
        })
        .await;
    }
    home.control.mark_expired(after(2)).await.expect("swept");
    let insights = home.control.insights("acme");
    let hours = Some(WorkingHours { from: 22, until: 6 });
    let known = KeepRouting { skills: vec!["deploy".to_owned(), "review".to_owned()], hours };
    insights.keep_routing("ann", known, &pilot("root"), after(3)).await.expect("kept").expect("a pilot");
    let mut found = insights.candidates(InterventionType::default(), after(4)).await.expect("an answer");
    found.sort_by(|one, other| one.pilot_id.cmp(&other.pilot_id));
    let [ann, bob] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((ann.pilot_id.as_str(), ann.decided, ann.received, ann.open), ("ann", 1, 2, 1));
    assert_eq!(
        (ann.skills.as_slice(), ann.hours),
        (["deploy".to_owned(), "review".to_owned()].as_slice(), Some((22, 6)))
    );
    assert_eq!((bob.pilot_id.as_str(), bob.role, bob.received, bob.hours), ("bob", Role::Admin, 0, None));
    let far = after(40 * 24 * 60 * 60);
    let later = insights.candidates(InterventionType::default(), far).await.expect("an answer");
    assert!(later.iter().all(|candidate| candidate.received == 0 && candidate.open == 0), "too long ago");
    assert!(
        home.control
            .insights("globex")
            .candidates(InterventionType::default(), after(4))
            .await
            .expect("none")
            .is_empty()
    );
}

async fn what_is_known_of_a_pilot_is_its_organisations_own(home: Home) {
    logged_in(&home, "ann", Role::Operator).await;
    let (acme, globex) = (home.control.insights("acme"), home.control.insights("globex"));
    let kept = |skill: &str| KeepRouting { skills: vec![skill.to_owned()], hours: None };
    let nothing = acme.routing("ann").await.expect("an answer").expect("a pilot");
    assert_eq!((nothing.pilot_id.as_str(), nothing.skills.len(), nothing.updated_by), ("ann", 0, None));
    for skill in ["deploy", "review"] {
        acme.keep_routing("ann", kept(skill), &pilot("root"), after(1)).await.expect("an answer").expect("a pilot");
    }
    let known = acme.routing("ann").await.expect("an answer").expect("a pilot");
    assert_eq!(
        (known.skills.as_slice(), known.updated_by.as_deref()),
        (["review".to_owned()].as_slice(), Some("root"))
    );
    assert_eq!(globex.routing("ann").await.expect("an answer"), None);
    assert_eq!(globex.keep_routing("ann", kept("x"), &pilot("eve"), after(2)).await.expect("an answer"), None);
}
