//! Who is told by e-mail, of what, and that it stands in the outbox with the change.

use vx11_contracts::identity::{OrgId, PilotChange};
use vx11_contracts::intervention::{
    Channel, EscalationStep, ListDeliveries, NewEmailSubscription, PILOTS, Quorum, SUBSCRIPTIONS_OF_ORG, Told,
};

use super::{
    Command, Control, DecisionBody, Duration, Home, Intervention, OnTimeout, Postgres, Priority, Role, after, approve,
    pilot, start,
};
use crate::control::{Person, Room, Subscribed};
use crate::domain::audit::Origin;
use crate::domain::intervention::Notice;

on_both!(
    who_subscribed_is_told_what_it_wants,
    pilots_are_told_what_is_meant_for_them,
    who_is_in_both_ways_gets_it_once,
    a_change_that_is_refused_is_not_told,
    each_channel_has_its_own_queue,
    subscriptions_are_an_organisations_own_and_bounded,
);

async fn subscribe(home: &Home, to: &str, events: &[Told], least_priority: Priority) {
    let new = NewEmailSubscription { to: to.to_owned(), events: events.to_vec(), least_priority };
    let made = home.control.subscriptions("acme").add(new, &pilot("root"), start()).await.expect("an answer");
    assert!(matches!(made, Subscribed::New(_)), "{made:?}");
}

/// A pilot of `acme` who has logged in with this address.
async fn logged_in(home: &Home, id: &str, email: &str, role: Role) {
    let person = Person {
        provider: "corp".to_owned(),
        issuer: "https://id.example.com".to_owned(),
        oauth_id: id.to_owned(),
        pilot_id: id.to_owned(),
        name: id.to_owned(),
        email: Some(email.to_owned()),
    };
    let acme = acme(home);
    home.control.pilots(&acme).enter(&person, role, &Origin::default(), start()).await.expect("in");
}

fn acme(_: &Home) -> OrgId {
    "acme".parse().expect("an id")
}

async fn with_org(home: &Home) {
    home.control.make_org(&acme(home), "Acme", &pilot("root"), start()).await.expect("made").expect("new");
}

/// What waits to be mailed: the event, the request and the address, in the order of their ids.
async fn mails(home: &Home) -> Vec<(String, String, String)> {
    let page = home.control.deliveries("acme").list(ListDeliveries::default()).await.expect("a page");
    let mails = page.items.into_iter().rev().filter(|delivery| delivery.channel == Channel::Email);
    mails.map(|mail| (mail.event.replace("intervention.", ""), mail.request_id, mail.url)).collect()
}

fn told(event: &str, id: &str, to: &str) -> (String, String, String) {
    (event.to_owned(), id.to_owned(), format!("mailto:{to}"))
}

async fn decided(home: &Home, request: &Intervention) {
    let acme = home.of("acme");
    acme.decide(&request.request_id, approve(request), pilot("ann"), after(1)).await.expect("decided");
}

async fn who_subscribed_is_told_what_it_wants(home: Home) {
    subscribe(&home, "all@acme.example", Told::ALL, Priority::Low).await;
    subscribe(&home, "urgent@acme.example", &[Told::Opened], Priority::High).await;
    let normal = home.asked("normal").await;
    let urgent = home.asked_with("urgent", |create| create.priority = Priority::Critical).await;
    home.asked_with("late", |create| create.expires_in_seconds = Some(-1)).await;
    decided(&home, &normal).await;
    let reject = DecisionBody { version: 1, args_digest: None, reason: Some("no".to_owned()) };
    home.of("acme").decide("urgent", Command::Reject(reject), pilot("ann"), after(2)).await.expect("decided");
    home.control.mark_expired(after(3)).await.expect("swept");
    assert_eq!(
        mails(&home).await,
        [
            told("opened", "normal", "all@acme.example"),
            told("opened", "urgent", "all@acme.example"),
            told("opened", "urgent", "urgent@acme.example"),
            told("approved", "normal", "all@acme.example"),
            told("rejected", "urgent", "all@acme.example"),
            told("expired", "late", "all@acme.example"),
        ]
    );
    let due = home.control.take_deliveries(Channel::Email, after(9), Duration::from_secs(9), room()).await;
    let notices = due.expect("an answer").into_iter().map(|due| serde_json::from_str(&due.body).expect("a notice"));
    let notices: Vec<Notice> = notices.collect();
    let rejected = notices.iter().find(|notice| notice.told == Told::Rejected).expect("one");
    assert_eq!((rejected.title.as_str(), rejected.reason.as_deref()), (urgent.title.as_str(), Some("no")));
    assert_eq!(rejected.to, "all@acme.example");
}

fn room() -> Room {
    Room { all: 100, each: 100, ..Room::default() }
}

async fn pilots_are_told_what_is_meant_for_them(home: Home) {
    with_org(&home).await;
    subscribe(&home, PILOTS, &[Told::Opened, Told::Escalated, Told::Expired], Priority::Low).await;
    for (id, role) in [("ann", Role::Operator), ("bob", Role::Operator), ("root", Role::Admin), ("gone", Role::Admin)] {
        logged_in(&home, id, &format!("{id}@acme.example"), role).await;
    }
    let out = PilotChange { disabled: Some(true), role: None };
    home.control.pilots(&acme(&home)).change("gone", out, &pilot("root"), start()).await.expect("changed");
    home.asked("nobodys").await;
    home.asked_with("anns", |create| create.assigned_to = Some("ann".to_owned())).await;
    home.asked_with("strangers", |create| create.assigned_to = Some("nobody".to_owned())).await;
    let step = |pilots: &[&str], role| EscalationStep {
        role,
        pilots: pilots.iter().map(|&name| name.to_owned()).collect(),
        quorum: Quorum::Any,
        expires_in_seconds: 10,
    };
    home.asked_with("steps", |create| {
        create.expires_in_seconds = Some(5);
        create.on_timeout = OnTimeout::Escalate;
        create.escalation = vec![step(&["ann", "bob", "gone"], None), step(&[], Some(Role::Admin))];
    })
    .await;
    for seconds in [6, 16, 26] {
        home.control.mark_expired(after(seconds)).await.expect("swept");
    }
    assert_eq!(
        mails(&home).await,
        [
            told("opened", "anns", "ann@acme.example"),
            told("escalated", "steps", "ann@acme.example"),
            told("escalated", "steps", "bob@acme.example"),
            told("escalated", "steps", "root@acme.example"),
        ]
    );
}

async fn who_is_in_both_ways_gets_it_once(home: Home) {
    with_org(&home).await;
    logged_in(&home, "ann", "Ann@acme.example", Role::Operator).await;
    subscribe(&home, PILOTS, &[Told::Opened], Priority::Low).await;
    subscribe(&home, "ann@acme.example", &[Told::Opened], Priority::Low).await;
    subscribe(&home, "ann@acme.example", Told::ALL, Priority::Low).await;
    home.asked_with("r1", |create| create.assigned_to = Some("ann".to_owned())).await;
    assert_eq!(mails(&home).await.len(), 1);
}

async fn a_change_that_is_refused_is_not_told(home: Home) {
    subscribe(&home, "all@acme.example", Told::ALL, Priority::Low).await;
    let request = home.asked("r1").await;
    home.of("acme").create(request.clone(), None).await.expect("an answer");
    decided(&home, &request).await;
    let late = home.of("acme").decide("r1", approve(&request), pilot("bob"), after(1)).await;
    assert!(late.is_err());
    let events: Vec<String> = mails(&home).await.into_iter().map(|(event, ..)| event).collect();
    assert_eq!(events, ["opened", "approved"]);
}

async fn each_channel_has_its_own_queue(home: Home) {
    subscribe(&home, "all@acme.example", &[Told::Approved], Priority::Low).await;
    let asked = home.asked_with("r1", |create| create.callback_url = Some("https://agents.example".to_owned())).await;
    decided(&home, &asked).await;
    let Home { control, .. } = &home;
    let take = async |channel| {
        let due = control.take_deliveries(channel, after(9), Duration::from_secs(9), room()).await;
        due.expect("an answer").into_iter().map(|due| due.url).collect::<Vec<_>>()
    };
    assert_eq!(take(Channel::Email).await, ["mailto:all@acme.example"]);
    assert_eq!(control.pending_deliveries(Channel::Email).await.expect("a count"), 1);
    assert_eq!(take(Channel::Webhook).await, ["https://agents.example"]);
    assert!(take(Channel::Email).await.is_empty() && take(Channel::Webhook).await.is_empty());
}

async fn subscriptions_are_an_organisations_own_and_bounded(home: Home) {
    let of = |org: &str| -> crate::control::Subscriptions { Control::subscriptions(&home.control, org) };
    let new = |n: usize| NewEmailSubscription {
        to: format!("a{n}@acme.example"),
        events: vec![Told::Opened],
        least_priority: Priority::Low,
    };
    let add = async |n| of("acme").add(new(n), &pilot("root"), start()).await.expect("an answer");
    for n in 0..SUBSCRIPTIONS_OF_ORG {
        assert!(matches!(add(n).await, Subscribed::New(_)));
    }
    let all = of("acme").list().await.expect("a list");
    assert_eq!((all.len(), all[3].to.as_str()), (SUBSCRIPTIONS_OF_ORG, "a3@acme.example"));
    let again = add(3).await;
    assert!(matches!(&again, Subscribed::Before(before) if *before == all[3]), "{again:?}");
    assert!(matches!(add(99).await, Subscribed::Full));
    assert!(of("globex").list().await.expect("a list").is_empty());
    assert!(!of("globex").remove(&all[3].id, &pilot("eve"), start()).await.expect("an answer"));
    assert!(of("acme").remove(&all[3].id, &pilot("root"), start()).await.expect("an answer"));
    assert!(!of("acme").remove(&all[3].id, &pilot("root"), start()).await.expect("an answer"));
    assert!(matches!(add(99).await, Subscribed::New(_)));
}
