//! What becomes of accounts when other terms come into force.

use std::time::Instant;

use prometheus::Registry;
use tempfile::TempDir;
use vx11_chassis::config::{DataDir, Settings};
use vx11_chassis::process::section;
use vx11_contracts::identity::{OrgId, Principal, Role, Scope};

use super::keys::sha256;
use super::*;
use crate::store::LedgerRow;

const PICOS: u64 = 1_000_000_000_000;

fn config(toml: &str) -> SwitchConfig {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("vx11.toml");
    std::fs::write(&file, toml).expect("written");
    section(&Settings::load(Some(&file), []).expect("settings")).expect("a configuration")
}

async fn open(home: &TempDir, toml: &str) -> Arc<Accounts> {
    let common = Common { data_dir: DataDir(home.path().to_owned()), ..Common::default() };
    Accounts::open(&config(toml), &common, None, &Registry::new()).await.expect("accounts")
}

async fn put_in_force(accounts: &Arc<Accounts>, toml: &str) {
    let before = accounts.terms();
    let terms = Terms::new(&config(toml), &Common::default().secrets, Some(&before)).expect("terms");
    accounts.replace(terms).await.expect("in force");
}

/// So much is spent by another key of the organisation.
async fn spend(accounts: &Accounts, org: &str, usd: u64) {
    let row = LedgerRow {
        at_ms: now_ms(),
        correlation_id: "c".into(),
        org: org.into(),
        team: "".into(),
        key: "key:other".into(),
        model: "m".into(),
        provider: "p".into(),
        provider_model: "m".into(),
        tokens: Tokens::default(),
        estimated: false,
        from_cache: false,
        cost: Usd::from_picos(usd * PICOS),
        latency_ms: 1,
        intervention: None,
    };
    accounts.ledger.add(row).expect("taken");
    accounts.ledger.flush(Duration::from_secs(30)).await;
}

fn dollars_left(account: &Account) -> Option<u64> {
    let [level] = local::tightest(account, [Unit::Money], now_ms());
    level.map(|level| level.remaining / PICOS)
}

const BUDGET: &str = "[switch.orgs.acme]\nbudget = { usd = 10.0, period = \"total\" }";

#[tokio::test]
async fn a_limit_that_comes_back_knows_what_was_spent_meanwhile_for_who_was_idle_too() {
    let (home, org): (TempDir, OrgId) = (tempfile::tempdir().expect("a directory"), "acme".parse().expect("an id"));
    let accounts = open(&home, BUDGET).await;
    let chat = async || accounts.on_behalf_of(&org, Duration::MAX).await.expect("an account");
    let (digest, principal) = (sha256("idle"), principal(&org));
    let belief = identities::Belief::confirmed(Instant::now(), None, &crate::config::IdentitiesConfig::default());
    accounts.welcome(digest, principal, None, belief).await.expect("a caller");
    drop(chat().await);
    put_in_force(&accounts, "").await;
    spend(&accounts, "acme", 7).await;
    spend(&accounts, "globex", 5).await;
    put_in_force(&accounts, BUDGET).await;
    let Caller::Key(account) = chat().await else { panic!("an account") };
    assert_eq!(dollars_left(&account), Some(3));
    let known = accounts.identities.remembered(&digest).expect("known");
    assert_eq!(dollars_left(&known.account().expect("an account")), Some(3));
}

#[tokio::test]
async fn who_is_known_stays_it_under_new_terms_without_a_question() {
    let (home, org): (TempDir, OrgId) = (tempfile::tempdir().expect("a directory"), "acme".parse().expect("an id"));
    let accounts = open(&home, "").await;
    spend(&accounts, "acme", 7).await;
    let (digest, before) = (sha256("secret"), accounts.terms());
    let belief = identities::Belief::confirmed(Instant::now(), None, &crate::config::IdentitiesConfig::default());
    accounts.welcome(digest, principal(&org), None, belief).await.expect("a caller");
    put_in_force(&accounts, BUDGET).await;
    let known = accounts.identities.believed(&digest, Instant::now()).expect("believed");
    assert!(known.standing.load().is_under(&accounts.terms()), "a request need not wait");
    // One that came while the terms did is under those before.
    let late = identities::Standing::new(&known.principal, None, &before);
    known.standing.store(Arc::new(late));
    let known = accounts.identify(digest, "secret").await.expect("nobody is asked: there is no operator");
    assert_eq!(dollars_left(&known.account().expect("an account")), Some(3));
}

#[tokio::test]
async fn who_cannot_wait_does_not_wait_for_others_that_look_into_the_ledger() {
    let (home, org): (TempDir, OrgId) = (tempfile::tempdir().expect("a directory"), "acme".parse().expect("an id"));
    let accounts = open(&home, &format!("{BUDGET}\n[switch.orgs.globex]\nrequests_per_day = 2")).await;
    let tenant = accounts.terms().keys.of_services_for(&org).tenant;
    let looking = tenant.restoring.lock().await;
    assert!(accounts.on_behalf_of(&org, Duration::ZERO).await.is_err());
    let other: OrgId = "globex".parse().expect("an id");
    accounts.on_behalf_of(&other, Duration::MAX).await.expect("another organisation waits for nobody");
    drop(looking);
    accounts.on_behalf_of(&org, Duration::MAX).await.expect("an account");
    accounts.on_behalf_of(&org, Duration::ZERO).await.expect("it is known by now");
}

#[tokio::test]
async fn who_gets_no_turn_is_believed_for_longer_only_where_the_operator_is_away() {
    let (home, org): (TempDir, OrgId) = (tempfile::tempdir().expect("a directory"), "acme".parse().expect("an id"));
    let accounts = open(&home, "").await;
    let config = crate::config::IdentitiesConfig::default();
    let lapsed = Instant::now().checked_sub(config.believed_for).expect("a moment ago");
    let digest = sha256("secret");
    let belief = identities::Belief::confirmed(lapsed, None, &config);
    accounts.welcome(digest, principal(&org), None, belief).await.expect("a caller");
    let _others = accounts.identities.take_turns().await;
    assert!(accounts.identify(digest, "secret").await.is_err(), "it may have been revoked, and the operator says so");
    assert_eq!(accounts.identities.trouble(), None, "nor is the operator said to be away");
    accounts.identities.set_away();
    assert!(accounts.identify(digest, "secret").await.is_ok());
}

fn principal(org: &OrgId) -> Principal {
    let scopes = [Scope::Gateway].into_iter().collect();
    Principal { org: org.clone(), subject: "key:idle".into(), role: Role::Operator, scopes }
}
