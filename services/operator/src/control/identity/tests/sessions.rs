//! Pilots, their sessions and passwords, on SQLite and on a real PostgreSQL.

use diesel::prelude::*;
use jiff::Timestamp;
use vx11_contracts::identity::{Pilot, PilotChange, Principal, Role, Scopes};
use vx11_identity::{NewRefreshToken, RefreshVerdict};
use vx11_testing_servers::Postgres;

use super::super::{ChangeError, Entry, Person, Refreshed, Session, Standing};
use super::{at, org};
use crate::control::schema::pilots;
use crate::control::tests::{Home, on_both};
use crate::domain::audit::Origin;
use crate::domain::intervention::Actor;

on_both!(
    who_comes_first_is_made_a_pilot_and_is_known_again,
    a_name_that_was_somebody_elses_is_not_given_again,
    an_id_at_another_issuer_is_somebody_elses,
    first_logins_at_once_make_one_pilot,
    a_refresh_token_is_followed_and_its_reuse_ends_the_session,
    of_many_who_come_with_one_token_one_gets_the_next,
    a_session_ends_with_a_logout_a_shut_out_pilot_or_a_closed_organisation,
    what_an_admin_changes_overtakes_tokens_of_before,
    the_last_admin_stays_one_whoever_asks,
    pilots_of_organisations_do_not_meet,
    a_password_is_kept_as_its_hash_and_set_anew,
    a_password_that_is_replaced_while_it_is_looked_at_opens_nothing,
    a_session_that_begins_as_all_are_ended_is_either_of_before_or_of_after,
    what_is_long_over_is_forgotten,
);

fn root() -> Actor {
    Actor::new("root", Role::Admin)
}

fn person(login: &str, oauth_id: &str) -> Person {
    Person {
        provider: "github".to_owned(),
        issuer: "https://github.com/".to_owned(),
        oauth_id: oauth_id.to_owned(),
        pilot_id: format!("github:{login}"),
        name: login.to_owned(),
        email: Some(format!("{login}@example.com")),
    }
}

async fn entry(home: &Home, person: &Person, now: Timestamp) -> Entry {
    home.control
        .pilots(&org("default"))
        .enter(person, Role::Operator, &Origin::default(), now)
        .await
        .expect("an answer")
}

async fn enter(home: &Home, person: &Person, now: Timestamp) -> Session {
    match entry(home, person, now).await {
        Entry::In(session) => *session,
        other => panic!("{other:?}"),
    }
}

/// A login of ada's, and its first refresh token.
async fn ada(home: &Home, now: Timestamp) -> NewRefreshToken {
    enter(home, &person("ada", "1"), now).await.refresh.expect("a token")
}

async fn refresh(home: &Home, token: &NewRefreshToken, now: Timestamp) -> Refreshed {
    home.control.refresh(token.hash, Origin::default(), now).await.expect("an answer")
}

async fn next(home: &Home, token: &NewRefreshToken, now: Timestamp) -> Session {
    match refresh(home, token, now).await {
        Refreshed::On(session) => *session,
        over => panic!("{over:?}"),
    }
}

async fn over(home: &Home, token: &NewRefreshToken, now: Timestamp) -> RefreshVerdict {
    match refresh(home, token, now).await {
        Refreshed::Over(verdict, _) => verdict,
        on => panic!("{on:?}"),
    }
}

async fn standing(home: &Home, pilot: &Pilot, issued_at: Timestamp) -> Standing {
    let (org, subject, role) = (pilot.org.clone(), pilot.pilot_id.as_str().into(), pilot.role);
    let principal = Principal { org, subject, role, scopes: Scopes::ALL };
    home.control.stands(&principal, "t", issued_at).await.expect("an answer")
}

async fn who_comes_first_is_made_a_pilot_and_is_known_again(home: Home) {
    let first = enter(&home, &person("ada", "1"), at(0)).await;
    assert!(first.is_new);
    assert_eq!((first.pilot.pilot_id.as_str(), first.pilot.role), ("github:ada", Role::Operator));
    assert_eq!((first.pilot.oauth_provider.as_deref(), first.pilot.oauth_id.as_deref()), (Some("github"), Some("1")));
    // Its role stays, and its id too where it has another name at the provider now.
    let pilots = home.control.pilots(&org("default"));
    let admin = PilotChange { role: Some(Role::Admin), disabled: None };
    pilots.change("github:ada", admin, &root(), at(1)).await.expect("an answer").expect("found");
    let again = enter(&home, &person("countess", "1"), at(2)).await;
    assert!(!again.is_new);
    assert_eq!((again.pilot.pilot_id.as_str(), again.pilot.name.as_str()), ("github:ada", "countess"));
    assert_eq!(again.pilot.role, Role::Admin);
    assert!(again.pilot.last_login > first.pilot.last_login && again.pilot.created_at == first.pilot.created_at);
    let listed = pilots.list(None, 10).await.expect("an answer");
    assert_eq!(listed, [again.pilot]);
    assert_eq!(pilots.list(Some("github:ada".to_owned()), 10).await.expect("an answer"), []);
}

async fn a_name_that_was_somebody_elses_is_not_given_again(home: Home) {
    enter(&home, &person("ada", "1"), at(0)).await;
    let other = entry(&home, &person("ada", "2"), at(1)).await;
    assert!(matches!(other, Entry::NameTaken), "{other:?}");
    let elsewhere =
        home.control.pilots(&org("nowhere")).enter(&person("ada", "1"), Role::Viewer, &Origin::default(), at(1)).await;
    assert!(matches!(elsewhere.expect("an answer"), Entry::NoOrg));
    // At another provider the same id is somebody else's.
    let corp = Person { provider: "corp".to_owned(), pilot_id: "corp:ada".to_owned(), ..person("ada", "1") };
    assert!(enter(&home, &corp, at(2)).await.is_new);
}

async fn an_id_at_another_issuer_is_somebody_elses(home: Home) {
    enter(&home, &person("ada", "1"), at(0)).await;
    let moved = Person { issuer: "https://git.example.com/".to_owned(), ..person("eve", "1") };
    let other = entry(&home, &moved, at(1)).await;
    assert!(matches!(other, Entry::NameTaken), "{other:?}");
    // Of before it was kept: the first that comes.
    let forget = |conn: &mut vx11_store::AnyConnection| {
        let none: Option<String> = None;
        diesel::update(pilots::table).set(pilots::oauth_issuer.eq(none)).execute(conn)?;
        Ok::<_, vx11_store::StoreError>(())
    };
    home.control.database.write(vx11_store::Scope::Platform, forget).await.expect("forgotten");
    assert_eq!(enter(&home, &moved, at(2)).await.pilot.pilot_id, "github:ada");
    assert!(matches!(entry(&home, &person("ada", "1"), at(3)).await, Entry::NameTaken));
}

async fn first_logins_at_once_make_one_pilot(home: Home) {
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let pilots = home.control.pilots(&org("default"));
            tokio::spawn(
                async move { pilots.enter(&person("ada", "1"), Role::Operator, &Origin::default(), at(0)).await },
            )
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        match task.await.expect("it ends").expect("an answer") {
            Entry::In(session) => new += usize::from(session.is_new),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(new, 1);
}

async fn a_refresh_token_is_followed_and_its_reuse_ends_the_session(home: Home) {
    let first = ada(&home, at(0)).await;
    let second = next(&home, &first, at(100)).await.refresh.expect("a token");
    // Another tab, a moment later.
    assert!(next(&home, &first, at(105)).await.refresh.is_none());
    let third = next(&home, &second, at(200)).await;
    assert_eq!(standing(&home, &third.pilot, at(200)).await, Standing::Good);
    let third = third.refresh.expect("a token");
    let Refreshed::Over(verdict, owner) = refresh(&home, &first, at(300)).await else { panic!("it goes on") };
    assert_eq!(verdict, RefreshVerdict::ReuseRevokesFamily);
    assert_eq!(owner.expect("known").pilot_id, "github:ada");
    // Who came honestly is out, too, and so is every token that was made: nobody knows whose they are.
    assert_eq!(over(&home, &third, at(301)).await, RefreshVerdict::Revoked);
    let pilot = enter(&home, &person("ada", "1"), at(300)).await;
    assert_eq!(standing(&home, &pilot.pilot, at(200)).await, Standing::Overtaken);
    assert_eq!(pilot.grants_from, at(301), "a token of the same second would count as one of before");
    assert_eq!(standing(&home, &pilot.pilot, pilot.grants_from).await, Standing::Good);
    assert_eq!(over(&home, &NewRefreshToken::make(at(0), at(0)), at(1)).await, RefreshVerdict::Unknown);
    let last = pilot.refresh.expect("a token");
    assert_eq!(over(&home, &last, at(300 + 7 * 24 * 3600)).await, RefreshVerdict::Expired);
}

async fn of_many_who_come_with_one_token_one_gets_the_next(home: Home) {
    let token = ada(&home, at(0)).await.hash;
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let control = home.control.clone();
            tokio::spawn(async move { control.refresh(token, Origin::default(), at(10)).await })
        })
        .collect();
    let mut followed = 0;
    for task in tasks {
        match task.await.expect("it ends").expect("an answer") {
            Refreshed::On(session) => followed += usize::from(session.refresh.is_some()),
            over => panic!("{over:?}"),
        }
    }
    assert_eq!(followed, 1);
}

async fn a_session_ends_with_a_logout_a_shut_out_pilot_or_a_closed_organisation(home: Home) {
    let (one, other) = (ada(&home, at(0)).await, ada(&home, at(0)).await);
    let owner = home.control.log_out(one.hash, Origin::default(), at(1)).await.expect("an answer").expect("known");
    assert_eq!((owner.org, owner.pilot_id.as_str()), (org("default"), "github:ada"));
    assert_eq!(over(&home, &one, at(2)).await, RefreshVerdict::Revoked);
    let other = next(&home, &other, at(2)).await.refresh.expect("the other session goes on");

    let pilots = home.control.pilots(&org("default"));
    let disabled = async |is: bool, now| {
        let change = PilotChange { role: None, disabled: Some(is) };
        pilots.change("github:ada", change, &root(), now).await.expect("an answer").expect("found")
    };
    let out = disabled(true, at(3)).await;
    assert!(out.disabled_at.is_some());
    assert_eq!(standing(&home, &out, at(50)).await, Standing::Out);
    assert_eq!(over(&home, &other, at(4)).await, RefreshVerdict::Revoked);
    assert!(matches!(entry(&home, &person("ada", "1"), at(5)).await, Entry::Disabled));
    assert_eq!(disabled(false, at(6)).await.disabled_at, None);
    assert_eq!(over(&home, &other, at(7)).await, RefreshVerdict::Revoked, "it does not come back with the pilot");
    let again = ada(&home, at(8)).await;
    assert!(pilots.end_sessions("github:ada", &root(), at(9)).await.expect("an answer").is_some());
    assert_eq!(over(&home, &again, at(10)).await, RefreshVerdict::Revoked);
    assert!(pilots.end_sessions("github:nobody", &root(), at(9)).await.expect("an answer").is_none());

    home.control.make_org(&org("acme"), "Acme", &root(), at(0)).await.expect("an answer").expect("made");
    let of_acme =
        home.control.pilots(&org("acme")).enter(&person("bob", "3"), Role::Viewer, &Origin::default(), at(0)).await;
    let Entry::In(of_acme) = of_acme.expect("an answer") else { panic!("it is not let in") };
    home.control.close_org(&org("acme"), &root(), at(1)).await.expect("an answer");
    assert_eq!(over(&home, &of_acme.refresh.expect("a token"), at(2)).await, RefreshVerdict::Revoked);
}

async fn what_an_admin_changes_overtakes_tokens_of_before(home: Home) {
    let pilot = enter(&home, &person("ada", "1"), at(0)).await.pilot;
    assert_eq!(standing(&home, &pilot, at(0)).await, Standing::Good);
    let pilots = home.control.pilots(&org("default"));
    let lower = PilotChange { role: Some(Role::Viewer), disabled: None };
    let lower = pilots.change("github:ada", lower, &root(), at(1)).await.expect("an answer").expect("found");
    assert_eq!(standing(&home, &pilot, at(0)).await, Standing::Overtaken, "the token says another role");
    assert_eq!(standing(&home, &lower, at(0)).await, Standing::Good);
    pilots.end_sessions("github:ada", &root(), at(2)).await.expect("an answer");
    assert_eq!(standing(&home, &lower, at(2)).await, Standing::Overtaken);
    assert_eq!(standing(&home, &lower, at(3)).await, Standing::Good);
}

async fn the_last_admin_stays_one_whoever_asks(home: Home) {
    let pilots = home.control.pilots(&org("default"));
    let role = |role| PilotChange { role: Some(role), disabled: None };
    let out = PilotChange { role: None, disabled: Some(true) };
    for (login, id) in [("ada", "1"), ("bob", "2")] {
        enter(&home, &person(login, id), at(0)).await;
    }
    let promote = async |id| pilots.change(id, role(Role::Admin), &root(), at(1)).await.expect("an answer");
    promote("github:ada").await.expect("found");
    for change in [role(Role::Viewer), out.clone()] {
        let refused = pilots.change_unless_last("github:ada", change, &root(), at(2)).await;
        assert!(matches!(refused, Err(ChangeError::LastAdmin)), "{refused:?}");
    }
    pilots.change_unless_last("github:ada", role(Role::Admin), &root(), at(2)).await.expect("it stays what it is");
    promote("github:bob").await.expect("found");
    // Each makes the other one step down, at once.
    let demoted = async |id, by| {
        let (pilots, by) = (home.control.pilots(&org("default")), Actor::new(by, Role::Admin));
        pilots.change_unless_last(id, role(Role::Operator), &by, at(3)).await.is_ok()
    };
    let (ada, bob) = tokio::join!(demoted("github:ada", "github:bob"), demoted("github:bob", "github:ada"));
    assert!(ada != bob, "one of them stays");
    let last = if ada { "github:bob" } else { "github:ada" };
    assert!(pilots.change(last, out, &root(), at(4)).await.expect("an answer").is_some(), "`vx11` may");
}

async fn pilots_of_organisations_do_not_meet(home: Home) {
    home.control.make_org(&org("acme"), "Acme", &root(), at(0)).await.expect("an answer").expect("made");
    enter(&home, &person("ada", "1"), at(0)).await;
    let acme = home.control.pilots(&org("acme"));
    assert_eq!(acme.list(None, 10).await.expect("an answer"), []);
    let change = PilotChange { role: Some(Role::Admin), disabled: Some(true) };
    assert_eq!(acme.change("github:ada", change, &root(), at(1)).await.expect("an answer"), None);
    assert_eq!(acme.end_sessions("github:ada", &root(), at(1)).await.expect("an answer"), None);
    assert_eq!(acme.password("ada").await.expect("an answer"), None);
    let still = enter(&home, &person("ada", "1"), at(2)).await.pilot;
    assert_eq!((still.role, still.disabled_at), (Role::Operator, None));
    // The same account may be a pilot of both, each with its own role.
    let there = acme.enter(&person("ada", "1"), Role::Viewer, &Origin::default(), at(3)).await.expect("an answer");
    assert!(matches!(there, Entry::In(session) if session.is_new && session.pilot.role == Role::Viewer));
}

async fn a_password_is_kept_as_its_hash_and_set_anew(home: Home) {
    let pilots = home.control.pilots(&org("default"));
    let set = async |hash: &str, role, now| {
        pilots.set_password("root", role, hash.to_owned(), &root(), now).await.expect("an answer").expect("set")
    };
    let made = set("$argon2id$1", Role::Admin, at(0)).await;
    assert_eq!((made.pilot_id.as_str(), made.role, made.oauth_id), ("local:root", Role::Admin, None));
    assert_eq!(pilots.password("root").await.expect("an answer").as_deref(), Some("$argon2id$1"));
    assert_eq!(pilots.password("nobody").await.expect("an answer"), None);
    let Entry::In(session) =
        pilots.open("root", "$argon2id$1".to_owned(), Origin::default(), at(1)).await.expect("an answer")
    else {
        panic!("out")
    };
    let token = session.refresh.expect("a token");
    set("$argon2id$2", Role::Admin, at(2)).await;
    assert_eq!(pilots.password("root").await.expect("an answer").as_deref(), Some("$argon2id$2"));
    assert_eq!(over(&home, &token, at(3)).await, RefreshVerdict::Revoked, "who knew the old one is out");
    let nobody = pilots.open("nobody", String::new(), Origin::default(), at(4)).await;
    assert!(matches!(nobody.expect("an answer"), Entry::Unknown));
    let nowhere =
        home.control.pilots(&org("nowhere")).set_password("x", Role::Viewer, String::new(), &root(), at(0)).await;
    assert_eq!(nowhere.expect("an answer"), None);
}

async fn a_password_that_is_replaced_while_it_is_looked_at_opens_nothing(home: Home) {
    let pilots = home.control.pilots(&org("default"));
    let set = async |hash: &str, now| {
        let set = pilots.set_password("root", Role::Admin, hash.to_owned(), &root(), now).await;
        set.expect("an answer").expect("set");
    };
    set("$argon2id$1", at(0)).await;
    let verified = pilots.password("root").await.expect("an answer").expect("known");
    set("$argon2id$2", at(1)).await;
    let opened = pilots.open("root", verified, Origin::default(), at(2)).await.expect("an answer");
    assert!(matches!(opened, Entry::OtherPassword), "{opened:?}");
}

/// Either its tokens are over with the others', both of them, or both are good.
async fn a_session_that_begins_as_all_are_ended_is_either_of_before_or_of_after(home: Home) {
    let mut known = ada(&home, at(0)).await;
    for round in (10..).step_by(10).take(30) {
        let now = at(round);
        let (ending, refreshing) = (home.control.pilots(&org("default")), home.control.clone());
        let ended = tokio::spawn(async move { ending.end_sessions("github:ada", &root(), now).await });
        let refreshed = tokio::spawn(async move { refreshing.refresh(known.hash, Origin::default(), now).await });
        let mut begun = vec![enter(&home, &person("ada", "1"), now).await];
        ended.await.expect("it ends").expect("an answer").expect("found");
        if let Refreshed::On(session) = refreshed.await.expect("it ends").expect("an answer") {
            begun.push(*session);
        }
        for session in begun {
            let counts = standing(&home, &session.pilot, session.grants_from).await == Standing::Good;
            let goes_on = refresh(&home, &session.refresh.expect("a token"), at(round + 2)).await;
            assert_eq!(matches!(goes_on, Refreshed::On(_)), counts, "in round {round}: {goes_on:?}");
        }
        known = ada(&home, at(round + 5)).await;
    }
}

async fn what_is_long_over_is_forgotten(home: Home) {
    let (day, first) = (24 * 3600, ada(&home, at(0)).await);
    ada(&home, at(9 * day)).await;
    assert_eq!(over(&home, &first, at(9 * day)).await, RefreshVerdict::Unknown);
    let later = ada(&home, at(40 * day)).await;
    assert!(next(&home, &later, at(40 * day)).await.refresh.is_some());
}
