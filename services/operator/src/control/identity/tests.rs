//! Organisations, keys and what was revoked, on SQLite and on a real PostgreSQL.

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret;
use vx11_contracts::identity::{KeyLimits, KeyLimitsChange, OrgId, Principal, Role, Scope, Scopes};
use vx11_identity::{Claimed, KeyKind, NewApiKey, PresentedKey};
use vx11_testing_servers::Postgres;

use super::{KeyError, Keys, Standing};
use crate::control::tests::{Home, on_both};
use crate::domain::intervention::Actor;
use crate::domain::key_terms::KeyTerms;

mod sessions;

on_both!(
    an_organisation_is_made_once_and_closed,
    a_key_lets_its_holder_in_until_it_is_revoked_or_its_organisation_closed,
    keys_of_organisations_do_not_meet,
    pages_of_keys_hold_each_once,
    a_use_is_noted_and_never_set_back,
    limits_are_kept_and_of_two_changes_at_once_none_is_lost,
    a_revoked_token_does_not_stand,
    replicas_share_the_keys_that_sign_and_an_old_one_is_followed,
);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).expect("in range")
}

fn by() -> Actor {
    Actor::new("ann", Role::Admin)
}

fn org(id: &str) -> OrgId {
    id.parse().expect("an id")
}

fn terms(name: &str) -> KeyTerms {
    KeyTerms {
        name: name.to_owned(),
        role: Role::Operator,
        scopes: [Scope::Read, Scope::Agent].into_iter().collect(),
        expires_at: Some(at(1000)),
        created_by: "ann".to_owned(),
        limits: None,
    }
}

/// Keys of an organisation that is made for it.
async fn keys_of(home: &Home, id: &str) -> Keys {
    home.control.make_org(&org(id), id, &by(), at(0)).await.expect("an answer").expect("made");
    home.control.keys(&org(id))
}

async fn an_organisation_is_made_once_and_closed(home: Home) {
    let made = home.control.make_org(&org("acme"), "Acme", &by(), at(0)).await.expect("an answer").expect("made");
    assert_eq!((made.name.as_str(), made.closed_at), ("Acme", None));
    assert_eq!(home.control.make_org(&org("acme"), "Other", &by(), at(1)).await.expect("an answer"), None);
    let ids = async |after: Option<&str>, limit| {
        let listed = home.control.list_orgs(after.map(str::to_owned), limit).await.expect("an answer");
        listed.into_iter().map(|org| org.id.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10).await, ["acme", "default"], "the platform's own is there from the beginning");
    assert_eq!((ids(None, 1).await, ids(Some("acme"), 1).await), (vec!["acme".to_owned()], vec!["default".to_owned()]));
    let close = async |seconds| home.control.close_org(&org("acme"), &by(), at(seconds)).await.expect("an answer");
    let closed = close(5).await.expect("found");
    assert!(closed.closed_at.is_some());
    assert_eq!(close(6).await, Some(closed), "once");
    assert_eq!(home.control.close_org(&org("none"), &by(), at(5)).await.expect("an answer"), None);
    let late = home.control.keys(&org("acme")).make(&NewApiKey::make(), terms("late"), &by(), at(7)).await;
    assert_eq!(late.expect("an answer"), None, "a closed organisation gets no keys");
}

async fn a_key_lets_its_holder_in_until_it_is_revoked_or_its_organisation_closed(home: Home) {
    let (acme, umbrella) = (keys_of(&home, "acme").await, keys_of(&home, "umbrella").await);
    let (key, other) = (NewApiKey::make(), NewApiKey::make());
    let shown = acme.make(&key, terms("ci"), &by(), at(0)).await.expect("an answer").expect("made");
    umbrella.make(&other, terms("ci"), &by(), at(0)).await.expect("an answer").expect("made");
    assert_eq!((shown.subject, shown.scopes), (format!("key:{}", key.id), vec![Scope::Read, Scope::Agent]));
    let comes = async |key: &NewApiKey| {
        let presented = PresentedKey::parse(key.plain.expose_secret()).expect("a key");
        let bearer = home.control.bearer(presented.id()).await.expect("an answer");
        bearer.and_then(|bearer| bearer.terms.accept(&presented, at(1)))
    };
    let principal = comes(&key).await.expect("it is known");
    assert_eq!((principal.org, principal.role), (org("acme"), Role::Operator));
    assert_eq!(comes(&NewApiKey::make()).await, None);
    let revoked = acme.revoke(&key.id, &by(), at(2)).await.expect("an answer").expect("found");
    assert_eq!(acme.revoke(&key.id, &by(), at(3)).await.expect("an answer"), Some(revoked), "once");
    assert_eq!(comes(&key).await, None);
    assert!(comes(&other).await.is_some());
    home.control.close_org(&org("umbrella"), &by(), at(4)).await.expect("an answer");
    assert_eq!(comes(&other).await, None);
}

async fn keys_of_organisations_do_not_meet(home: Home) {
    let (acme, umbrella) = (keys_of(&home, "acme").await, keys_of(&home, "umbrella").await);
    let key = NewApiKey::make();
    acme.make(&key, terms("ci"), &by(), at(0)).await.expect("an answer").expect("made");
    assert_eq!(umbrella.list(None, 10).await.expect("an answer"), []);
    assert_eq!(umbrella.revoke(&key.id, &by(), at(1)).await.expect("an answer"), None);
    assert_eq!(acme.list(None, 10).await.expect("an answer")[0].revoked_at, None);
}

async fn pages_of_keys_hold_each_once(home: Home) {
    let acme = keys_of(&home, "acme").await;
    for n in 0..7 {
        // Some at the same moment.
        acme.make(&NewApiKey::make(), terms("ci"), &by(), at(n / 3)).await.expect("an answer").expect("made");
    }
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = acme.list(before, 2).await.expect("an answer");
        let Some(last) = page.last() else { break };
        before = Some((last.created_at.clone(), last.id.clone()));
        seen.extend(page);
    }
    let mut sorted = seen.clone();
    sorted.sort_by(|a, b| (&b.created_at, &b.id).cmp(&(&a.created_at, &a.id)));
    sorted.dedup();
    assert_eq!((seen.len(), &seen), (7, &sorted));
}

async fn limits_are_kept_and_of_two_changes_at_once_none_is_lost(home: Home) {
    let (acme, umbrella) = (keys_of(&home, "acme").await, keys_of(&home, "umbrella").await);
    let key = NewApiKey::make();
    let rpm = KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() };
    let terms = KeyTerms { scopes: Scopes::ALL, limits: Some(rpm.clone()), ..terms("ci") };
    let made = acme.make(&key, terms, &by(), at(0)).await.expect("an answer").expect("made");
    assert_eq!(made.limits, Some(rpm));
    let tokens = KeyLimitsChange { tokens_per_day: Some(Some(9)), ..KeyLimitsChange::default() };
    let requests = KeyLimitsChange { requests_per_minute: Some(Some(3)), ..KeyLimitsChange::default() };
    let (by, other) = (by(), acme.clone());
    let (one, two) =
        tokio::join!(acme.limit(&key.id, tokens, &by, at(1)), other.limit(&key.id, requests.clone(), &by, at(1)));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    let bearer = home.control.bearer(&key.id).await.expect("an answer").expect("found");
    let both = KeyLimits { requests_per_minute: Some(3), tokens_per_day: Some(9), ..KeyLimits::default() };
    assert_eq!(bearer.limits, Some(both));
    let theirs = umbrella.limit(&key.id, requests.clone(), &by, at(2)).await;
    assert!(matches!(theirs, Err(KeyError::NotFound)), "{theirs:?}");
    acme.revoke(&key.id, &by, at(3)).await.expect("an answer");
    let late = acme.limit(&key.id, requests, &by, at(4)).await;
    assert!(matches!(late, Err(KeyError::Revoked)), "{late:?}");
}

async fn a_use_is_noted_and_never_set_back(home: Home) {
    let acme = keys_of(&home, "acme").await;
    let key = NewApiKey::make();
    acme.make(&key, terms("ci"), &by(), at(0)).await.expect("an answer").expect("made");
    for seconds in [60, 30] {
        home.control.note_use(&key.id, at(seconds)).await.expect("an answer");
    }
    let bearer = home.control.bearer(&key.id).await.expect("an answer").expect("found");
    assert_eq!(bearer.last_used_at, Some(at(60)));
}

async fn a_revoked_token_does_not_stand(home: Home) {
    keys_of(&home, "acme").await;
    let token = |id: &str, of: &str| Claimed {
        principal: Principal { org: org(of), subject: "github:ann".into(), role: Role::Viewer, scopes: Scopes::ALL },
        id: id.to_owned(),
        issued_at: at(0),
        expires_at: at(600),
    };
    let stands = async |token: Claimed| {
        let standing = home.control.stands(&token.principal, &token.id, token.issued_at).await;
        standing.expect("an answer") == Standing::Good
    };
    for _ in 0..2 {
        home.control.revoke_token(&token("t1", "acme"), at(1)).await.expect("an answer");
    }
    assert!(!stands(token("t1", "acme")).await);
    assert!(stands(token("t2", "acme")).await);
    assert!(!stands(token("t2", "nowhere")).await, "there is no such organisation");
    home.control.close_org(&org("acme"), &by(), at(2)).await.expect("an answer");
    assert!(!stands(token("t2", "acme")).await);
}

async fn replicas_share_the_keys_that_sign_and_an_old_one_is_followed(home: Home) {
    let ids = async |seconds| {
        let keys = home.control.signing_keys(at(seconds)).await.expect("an answer");
        assert_eq!(keys.iter().filter(|key| key.kind == KeyKind::Seal).count(), 1, "cookies are sealed by one");
        let mut ids: Vec<_> = keys.into_iter().filter(|key| key.kind == KeyKind::EdDsa).map(|key| key.id).collect();
        ids.sort();
        ids
    };
    let month = SignedDuration::from_hours(30 * 24).as_secs();
    let first = ids(0).await;
    assert_eq!((first.len(), &ids(1).await), (1, &first));
    let both = ids(month).await;
    assert!(both.len() == 2 && both.contains(&first[0]), "{both:?}");
    assert_eq!(ids(month + 60).await, both);
    let left = ids(month + 3 * 60 * 60).await;
    assert!(left.len() == 1 && left != first, "the first one's last token has expired: {left:?}");
}
