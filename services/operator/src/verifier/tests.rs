use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use secrecy::ExposeSecret;
use tempfile::TempDir;
use vx11_chassis::auth::Verifier as _;
use vx11_contracts::identity::{OrgId, Role, Scope, Scopes};
use vx11_contracts::time;
use vx11_identity::{AccessTokens, NewApiKey, SigningKeys};
use vx11_store::DatabaseConfig;

use super::*;
use crate::domain::key_terms::KeyTerms;
use crate::store::Store;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

struct Home {
    control: Control,
    verifier: Verifier,
    _store: Store,
    _dir: TempDir,
}

fn home() -> Home {
    let dir = tempfile::tempdir().expect("a directory");
    let control = Control::open(DatabaseConfig::new(None, "operator", dir.path().join("control.sqlite3")));
    let control = control.expect("a new database");
    let store = Store::at(dir.path()).expect("a new store");
    let configured = StoredKey::from_configured(&SECRET.into()).expect("long enough");
    let heads = dir.path().join("audit-heads.jsonl");
    let audit = Audit::new(control.clone(), heads, Duration::from_secs(60), &prometheus::Registry::new());
    let audit = audit.expect("new names");
    let verifier = Verifier::new(control.clone(), Refusals::new(store.writer.clone()), audit, Some(configured));
    Home { control, verifier, _store: store, _dir: dir }
}

async fn key(home: &Home, expires_at: Option<Timestamp>) -> NewApiKey {
    let key = NewApiKey::make();
    let scopes = [Scope::Read].into_iter().collect();
    let (name, created_by) = ("ci".to_owned(), "ann".to_owned());
    let terms = KeyTerms { name, role: Role::Viewer, scopes, expires_at, created_by, limits: None };
    let (keys, by) = (home.control.keys(&OrgId::platform()), Actor::new("ann", Role::Admin));
    keys.make(&key, terms, &by, Timestamp::now()).await.expect("an answer").expect("made");
    key
}

fn pilot() -> Principal {
    let org = OrgId::platform();
    Principal { org, subject: "github:ann".into(), role: Role::Operator, scopes: Scopes::ALL }
}

#[tokio::test]
async fn a_key_is_its_holders_until_it_is_revoked() {
    let home = home();
    let key = key(&home, None).await;
    let principal = home.verifier.verify(key.plain.expose_secret()).await.expect("known");
    assert_eq!((&*principal.subject, principal.role), (&*format!("key:{}", key.id), Role::Viewer));
    assert!(!principal.scopes.contains(Scope::Admin));
    let by = Actor::new("ann", Role::Admin);
    home.control.keys(&OrgId::platform()).revoke(&key.id, &by, Timestamp::now()).await.expect("an answer");
    home.verifier.forget(&key.id);
    assert_eq!(home.verifier.verify(key.plain.expose_secret()).await, Err(Refusal::Invalid));
    assert_eq!(home.verifier.verify(NewApiKey::make().plain.expose_secret()).await, Err(Refusal::Invalid));
}

#[tokio::test]
async fn what_is_remembered_is_forgotten_by_itself_within_five_seconds() {
    assert!(BELIEVED_FOR < Duration::from_secs(5));
    let home = home();
    assert_eq!(home.verifier.keys.policy().time_to_live(), Some(BELIEVED_FOR));
    assert_eq!(home.verifier.standing.policy().time_to_live(), Some(BELIEVED_FOR));
    assert_eq!(home.verifier.keys.policy().max_capacity(), Some(MAX_REMEMBERED));
}

#[tokio::test]
async fn a_use_is_noted_once_in_a_while() {
    let home = home();
    let key = key(&home, None).await;
    for _ in 0..3 {
        home.verifier.verify(key.plain.expose_secret()).await.expect("known");
    }
    let noted = async || home.control.bearer(&key.id).await.expect("an answer").expect("found").last_used_at;
    vx11_testing::eventually("its use is noted", async || noted().await.is_some()).await;
    let first = noted().await;
    home.verifier.forget(&key.id);
    home.verifier.verify(key.plain.expose_secret()).await.expect("known");
    let remembered = home.verifier.keys.get(&key.id).flatten().expect("remembered");
    assert!(!remembered.is_noted.load(Ordering::Relaxed), "within the minute nothing is written");
    assert_eq!(noted().await, first);
}

#[tokio::test]
async fn a_token_counts_until_it_expires_or_is_revoked() {
    let home = home();
    home.verifier.tokens.jwks().await.expect("keys");
    let tokens = home.verifier.tokens.tokens().await.expect("keys");
    let now = Timestamp::now();
    let grant = tokens.grant(&pilot(), now).expect("made");
    assert_eq!(home.verifier.verify(grant.token.expose_secret()).await, Ok(pilot()));
    let old = tokens.grant(&pilot(), now - SignedDuration::from_mins(30)).expect("made");
    assert_eq!(home.verifier.verify(old.token.expose_secret()).await, Err(Refusal::Expired));
    let claimed = tokens.verify(grant.token.expose_secret(), now).expect("good");
    home.control.revoke_token(&claimed, now).await.expect("an answer");
    home.verifier.forget_all();
    assert_eq!(home.verifier.verify(grant.token.expose_secret()).await, Err(Refusal::Invalid));
    for garbage in ["", "x", "a.b.c", "Bearer", &"x".repeat(10_000)] {
        assert_eq!(home.verifier.verify(garbage).await, Err(Refusal::Invalid), "{garbage}");
    }
}

#[tokio::test]
async fn what_is_remembered_of_one_pilots_token_says_nothing_of_anothers() {
    let home = home();
    let bob = Principal { subject: "github:bob".into(), ..pilot() };
    let now = Timestamp::now();
    home.verifier.standing.insert(Token::new(&pilot(), "the same id", now), Standing::Out);
    assert_eq!(home.verifier.counts(&pilot(), "the same id", now).await, Err(Refusal::Invalid));
    assert_eq!(home.verifier.counts(&bob, "the same id", now).await, Ok(()));
}

#[tokio::test]
async fn a_stream_token_ends_with_the_sessions_the_role_or_the_access_token_that_it_was_made_for() {
    let (home, by, now) = (home(), Actor::new("ann", Role::Admin), Timestamp::now());
    let pilots = home.control.pilots(&OrgId::platform());
    let set = pilots.set_password("ann", Role::Operator, "$argon2id$1".to_owned(), &by, now).await;
    set.expect("an answer").expect("set");
    let ann = Principal { subject: "local:ann".into(), ..pilot() };
    let minted = |seconds, by_token: Option<&str>| Minted {
        at: now + SignedDuration::from_secs(seconds),
        by_token: by_token.map(str::to_owned),
    };
    let token = Claimed { principal: ann.clone(), id: "t1".to_owned(), issued_at: now, expires_at: now };
    home.control.revoke_token(&token, now).await.expect("an answer");
    assert_eq!(home.verifier.stands(&ann, &minted(0, Some("t2"))).await, Ok(()));
    assert_eq!(home.verifier.stands(&ann, &minted(0, Some("t1"))).await, Err(Refusal::Invalid), "it was logged out");

    pilots.end_sessions("local:ann", &by, now + SignedDuration::from_secs(5)).await.expect("an answer").expect("known");
    home.verifier.forget_tokens();
    // The later one first: what is remembered of it is none of the earlier one's.
    assert_eq!(home.verifier.stands(&ann, &minted(60, None)).await, Ok(()));
    assert_eq!(home.verifier.stands(&ann, &minted(0, None)).await, Err(Refusal::Expired));
    let admin = Principal { role: Role::Admin, ..ann.clone() };
    assert_eq!(home.verifier.stands(&admin, &minted(60, None)).await, Err(Refusal::Expired), "it is none any more");
    assert_eq!(home.verifier.stands(&ann, &minted(60, None)).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_another_replica_made_is_read_when_a_token_names_it_and_not_for_every_stranger() {
    let home = home();
    home.verifier.tokens.jwks().await.expect("keys");
    let stranger = StoredKey::first(vx11_identity::KeyKind::EdDsa, Timestamp::now());
    let foreign =
        AccessTokens::new(SigningKeys::new([&stranger]).expect("a key"), "vx11", "vx11", SignedDuration::from_mins(5));
    let token = foreign.grant(&pilot(), Timestamp::now()).expect("made").token;
    assert_eq!(home.verifier.verify(token.expose_secret()).await, Err(Refusal::Invalid));
    home.control.add_signing_key(&stranger, &Actor::timeout(), Timestamp::now()).await.expect("an answer");
    assert_eq!(home.verifier.verify(token.expose_secret()).await, Err(Refusal::Invalid), "read a moment ago");
    tokio::time::advance(Duration::from_secs(11)).await;
    assert_eq!(home.verifier.verify(token.expose_secret()).await, Ok(pilot()));
}

#[tokio::test]
async fn a_program_that_shares_the_configured_secret_is_believed() {
    let home = home();
    let configured = StoredKey::from_configured(&SECRET.into()).expect("long enough");
    let theirs = AccessTokens::new(
        SigningKeys::new([&configured]).expect("a key"),
        "vx11",
        "vx11",
        SignedDuration::from_mins(5),
    );
    let token = theirs.grant(&pilot(), Timestamp::now()).expect("made").token;
    assert_eq!(home.verifier.verify(token.expose_secret()).await, Ok(pilot()));
    let printed = format!("{:?}", Arc::new(home.verifier));
    assert!(!printed.contains(SECRET));
}

#[tokio::test]
async fn who_asks_for_another_service_is_told_what_the_database_says_now() {
    let home = home();
    let by = Actor::new("ann", Role::Admin);
    let soon = Timestamp::now() + SignedDuration::from_hours(1);
    let key = key(&home, Some(soon)).await;
    let secret = key.plain.expose_secret();
    // Remembered here for callers of this service.
    home.verifier.verify(secret).await.expect("known");
    let caller = home.verifier.introspect(secret).await.expect("known");
    assert_eq!((caller.subject, caller.expires_at), (format!("key:{}", key.id), Some(time::render(soon))));
    home.control.keys(&OrgId::platform()).revoke(&key.id, &by, Timestamp::now()).await.expect("an answer");
    assert_eq!(home.verifier.introspect(secret).await, Err(Refusal::Invalid));
}
