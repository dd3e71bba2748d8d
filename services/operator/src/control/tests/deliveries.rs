//! The outbox: written with the change, leased by one, and given up at last.

use vx11_contracts::intervention::{Channel, CompleteBody, DeliveryState, ListDeliveries, WebhookEvent};
use vx11_store::{AnyConnection, Scope, StoreError};

use super::{
    Actor, Command, Control, DecideError, DecisionBody, Duration, Home, Intervention, OnTimeout, Postgres, RedeemBody,
    Role, Timestamp, after, approve, pilot,
};
use crate::control::deliveries::{LOOK, Letter, put};
use crate::control::{Due, Outcome, Room};

const LEASE: Duration = Duration::from_secs(30);
const URL: &str = "https://agents.example/hook";

on_both!(
    the_end_of_a_wait_is_told_once,
    a_change_that_is_undone_tells_nothing,
    of_several_replicas_one_sends,
    a_lease_that_lapsed_is_anothers,
    an_organisation_does_not_keep_others_waiting,
    nor_does_one_whose_backlog_is_longer_than_a_look,
    what_is_given_up_is_listed_and_sent_again_when_asked_for,
    pages_hold_every_delivery_once,
    what_is_old_is_removed_unless_it_waits,
);

/// A request that wants to be told.
async fn asked(home: &Home, id: &str) -> Intervention {
    home.asked_with(id, |create| create.callback_url = Some(URL.to_owned())).await
}

/// One that was decided.
async fn decided(home: &Home, id: &str) {
    let request = asked(home, id).await;
    home.of("acme").decide(id, approve(&request), pilot("ann"), after(1)).await.expect("decided");
}

fn room(all: usize) -> Room {
    Room { all, each: 100, ..Room::default() }
}

async fn take(control: &Control, now: Timestamp) -> Vec<Due> {
    control.take_deliveries(Channel::Webhook, now, LEASE, room(100)).await.expect("an answer")
}

async fn the_end_of_a_wait_is_told_once(home: Home) {
    let acme = home.of("acme");
    for id in ["approved", "rejected", "claimed"] {
        asked(&home, id).await;
    }
    home.asked("silent").await;
    home.asked_with("expired", |create| {
        create.callback_url = Some(URL.to_owned());
        create.expires_in_seconds = Some(5);
        create.on_timeout = OnTimeout::Reject;
    })
    .await;
    let body = || DecisionBody { version: 1, args_digest: None, reason: Some("because".to_owned()) };
    let decide = async |id: &str, command, now| acme.decide(id, command, pilot("ann"), now).await.expect("decided");
    let approved = decide("approved", Command::Approve(body()), after(1)).await.after;
    decide("rejected", Command::Reject(body()), after(2)).await;
    decide("silent", Command::Approve(body()), after(2)).await;
    decide("claimed", Command::Claim { lease: LEASE }, after(3)).await;
    decide("claimed", Command::Complete(CompleteBody { reason: None }), after(4)).await;
    home.control.mark_expired(after(6)).await.expect("swept");
    // To take the decision ends no wait.
    let args_digest = approved.action.as_ref().map(|action| action.args_digest.clone());
    let redeem = Command::Redeem(RedeemBody { args_digest });
    acme.decide("approved", redeem, Actor::new("agent-1", Role::Operator), after(7)).await.expect("redeemed");
    let due = take(&home.control, after(8)).await;
    let told: Vec<WebhookEvent> = due.iter().map(|due| serde_json::from_str(&due.body).expect("an event")).collect();
    let events: Vec<_> = told.iter().map(|told| (told.event.as_str(), told.data.request_id.as_str())).collect();
    assert_eq!(
        events,
        [
            ("intervention.approved", "approved"),
            ("intervention.rejected", "rejected"),
            ("intervention.completed", "claimed"),
            ("intervention.expired", "expired"),
        ]
    );
    assert_eq!(Some(told[0].timestamp.as_str()), approved.action_timestamp.as_deref());
    assert_eq!(told[0].data.decision, approved.decision);
    assert!(due.iter().all(|due| due.url == URL && due.org == "acme" && due.attempt == 1));
}

async fn a_change_that_is_undone_tells_nothing(home: Home) {
    let request = asked(&home, "r1").await;
    let acme = home.of("acme");
    acme.decide("r1", approve(&request), pilot("ann"), after(1)).await.expect("decided");
    let late = acme.decide("r1", approve(&request), pilot("bob"), after(1)).await;
    assert!(matches!(late, Err(DecideError::Refused { .. })), "{late:?}");
    assert_eq!(take(&home.control, after(2)).await.len(), 1);
    assert!(home.control.deliveries("globex").list(ListDeliveries::default()).await.expect("a page").items.is_empty());
}

async fn of_several_replicas_one_sends(home: Home) {
    for number in 0..20 {
        decided(&home, &format!("r{number}")).await;
    }
    let takes: Vec<_> = (0..8)
        .map(|_| {
            let control = home.control.clone();
            tokio::spawn(async move { take(&control, after(2)).await })
        })
        .collect();
    let mut taken = Vec::new();
    for one in takes {
        taken.extend(one.await.expect("it ends").into_iter().map(|due| due.id));
    }
    assert_eq!(taken.len(), 20);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 20);
    assert_eq!(home.control.pending_deliveries(Channel::Webhook).await.expect("an answer"), 20);
}

async fn a_lease_that_lapsed_is_anothers(home: Home) {
    decided(&home, "r1").await;
    let first = take(&home.control, after(2)).await.remove(0);
    assert!(take(&home.control, after(31)).await.is_empty());
    let second = take(&home.control, after(32)).await.remove(0);
    assert_eq!((&second.id, second.attempt), (&first.id, 2));
    // The first one is back: it failed, which is not for it to say any more.
    let control = &home.control;
    control.settle_delivery(&first, Outcome::Dead("late".to_owned()), after(33)).await.expect("an answer");
    assert!(take(control, after(34)).await.is_empty(), "the second one's lease holds");
    let again = Outcome::Again(after(50), "HTTP 500".to_owned());
    control.settle_delivery(&second, again, after(40)).await.expect("an answer");
    assert!(take(control, after(49)).await.is_empty());
    let third = take(control, after(50)).await.remove(0);
    // That it was delivered is true whoever says so.
    control.settle_delivery(&second, Outcome::Delivered, after(51)).await.expect("an answer");
    control.settle_delivery(&third, Outcome::Dead("refused".to_owned()), after(52)).await.expect("an answer");
    let page = control.deliveries("acme").list(ListDeliveries::default()).await.expect("a page");
    assert_eq!((page.items[0].state, page.items[0].attempts), (DeliveryState::Delivered, 3));
    assert_eq!((&page.items[0].next_at, &page.items[0].last_error), (&None, &None));
    assert_eq!(control.pending_deliveries(Channel::Webhook).await.expect("an answer"), 0);
}

async fn an_organisation_does_not_keep_others_waiting(home: Home) {
    for number in 0..6 {
        decided(&home, &format!("r{number}")).await;
    }
    let globex = home.of("globex");
    let request = super::request("globex", "g", |create| create.callback_url = Some(URL.to_owned()));
    globex.create(request.clone(), None).await.expect("made");
    globex.decide("g", approve(&request), pilot("gil"), after(9)).await.expect("decided");
    let mut room = Room { all: 4, each: 2, ..Room::default() };
    let take = async |room: &Room| {
        let taken =
            home.control.take_deliveries(Channel::Webhook, after(10), LEASE, room.clone()).await.expect("an answer");
        taken.into_iter().map(|due| due.org).collect::<Vec<_>>()
    };
    assert_eq!(take(&room).await, ["acme", "acme", "globex"]);
    room.under_way.insert("acme".to_owned(), 2);
    assert!(take(&room).await.is_empty());
    room.under_way.insert("acme".to_owned(), 1);
    assert_eq!(take(&room).await, ["acme"]);
    room.all = 0;
    room.under_way.clear();
    assert!(take(&room).await.is_empty());
}

async fn nor_does_one_whose_backlog_is_longer_than_a_look(home: Home) {
    let letters = |org: &'static str, count: i64, at: &'static str| {
        let letter = move |number| Letter {
            org,
            channel: Channel::Webhook,
            request_id: "r1",
            event: "intervention.approved",
            url: URL.to_owned(),
            body: format!("{number}"),
            at,
        };
        let write = move |conn: &mut AnyConnection| {
            Ok::<_, StoreError>((0..count).try_for_each(|number| put(conn, letter(number)))?)
        };
        home.control.database.write(Scope::Platform, write)
    };
    // Two organisations have more than a look reads, and globex comes last.
    letters("acme", LOOK + 50, "2026-11-22T10:00:01.000Z").await.expect("written");
    letters("initech", LOOK + 50, "2026-11-22T10:00:02.000Z").await.expect("written");
    letters("globex", 3, "2026-11-22T10:00:03.000Z").await.expect("written");
    let take = async |room: Room| {
        let taken = home.control.take_deliveries(Channel::Webhook, after(10), LEASE, room).await.expect("an answer");
        let mut orgs: Vec<_> = taken.into_iter().map(|due| due.org).collect();
        orgs.sort();
        orgs
    };
    // As an attempt of acme's has just ended.
    let under_way = [("acme".to_owned(), 1)].into();
    assert_eq!(take(Room { all: 5, each: 2, under_way }).await, ["acme", "globex", "globex", "initech", "initech"]);
    assert_eq!(
        take(Room { all: 300, each: 299, ..Room::default() }).await.len(),
        LOOK as usize,
        "none fills its places"
    );
}

async fn what_is_given_up_is_listed_and_sent_again_when_asked_for(home: Home) {
    for id in ["r1", "r2"] {
        decided(&home, id).await;
    }
    let due = take(&home.control, after(2)).await;
    let dead = Outcome::Dead("x".repeat(9_999));
    home.control.settle_delivery(&due[0], dead, after(3)).await.expect("an answer");
    let of_acme = home.control.deliveries("acme");
    let listed = async |state| {
        let query = ListDeliveries { state: Some(state), ..Default::default() };
        of_acme.list(query).await.expect("a page").items
    };
    let dead = listed(DeliveryState::Dead).await;
    assert_eq!((dead.len(), dead[0].request_id.as_str(), dead[0].next_at.as_deref()), (1, "r1", None));
    assert_eq!(dead[0].last_error.as_ref().map(String::len), Some(500));
    assert!(take(&home.control, after(1000)).await.iter().all(|due| due.id != dead[0].id));
    let retry = async |org: &str, id: &str| {
        home.control.deliveries(org).retry(id.to_owned(), &pilot("ann"), after(2000)).await.expect("an answer")
    };
    assert_eq!(retry("globex", &dead[0].id).await, None);
    assert_eq!(retry("acme", "msg_none").await, None);
    let (again, is_done) = retry("acme", &dead[0].id).await.expect("it is there");
    assert_eq!((again.state, again.attempts, is_done), (DeliveryState::Pending, 0, true));
    assert!(!retry("acme", &dead[0].id).await.expect("it is there").1);
    assert!(listed(DeliveryState::Dead).await.is_empty());
    let taken = take(&home.control, after(2000)).await;
    assert!(taken.iter().any(|due| due.id == dead[0].id && due.attempt == 1), "{taken:?}");
}

async fn pages_hold_every_delivery_once(home: Home) {
    for number in 0..7 {
        decided(&home, &format!("r{number}")).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let query = ListDeliveries { state: Some(DeliveryState::Pending), limit: Some(3), cursor };
        let page = home.control.deliveries("acme").list(query).await.expect("a page");
        seen.extend(page.items.into_iter().map(|delivery| delivery.request_id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]);
}

async fn what_is_old_is_removed_unless_it_waits(home: Home) {
    for id in ["r1", "r2"] {
        decided(&home, id).await;
    }
    let due = take(&home.control, after(2)).await;
    home.control.settle_delivery(&due[0], Outcome::Delivered, after(3)).await.expect("an answer");
    home.control.clear_archived(1, after(3 * 24 * 60 * 60)).await.expect("cleared");
    let left = home.control.deliveries("acme").list(ListDeliveries::default()).await.expect("a page").items;
    assert_eq!(left.into_iter().map(|delivery| delivery.request_id).collect::<Vec<_>>(), ["r2"]);
}
