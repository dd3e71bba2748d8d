//! Callers with an API key or an access token of the operator's.
//!
//! The operator is asked once who that is, and its answer remembered; while it is believed, a request costs a look into
//! a table. Half through that time the operator is asked again, beside the requests, so who calls steadily never waits
//! for it. Everything is bounded: how many callers are remembered, how many secrets that are nobody's, how many
//! questions are under way, and how long each may take.

mod belief;
mod introspection;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::Shared;
use moka::sync::Cache;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use vx11_chassis::auth::Refusal;
use vx11_chassis::client::CallError;
use vx11_chassis::config::Common;
use vx11_contracts::identity::{IntrospectedCaller, KeyLimits, Permission, Principal};

use super::Accounts;
use super::account::Account;
use super::keys::{Digest, sha256};
use super::metrics::Questions;
use super::terms::Terms;
use crate::config::IdentitiesConfig;
use belief::Belief;
use introspection::{Introspection, Said};

/// Callers that are remembered at a time.
const MOST_KNOWN: u64 = 10_000;
/// Secrets that are remembered to be nobody's; apart from the callers, so that who makes up many pushes none of them out.
const MOST_NOBODYS: u64 = 10_000;
/// How long these are remembered: keys are random, so one that is nobody's stays that.
const NOBODYS_FOR: Duration = Duration::from_secs(10);
/// Questions that are under way at a time; others wait for their turn.
const MOST_QUESTIONS: usize = 32;
/// The same about callers who are known: whoever makes up keys takes none of these turns.
const MOST_OF_KNOWN: usize = 8;
/// Questions, under way or waiting for their turn. One more is asked only about a caller who is known.
const MOST_FLIGHTS: usize = 1024;
/// Longest wait of one caller for its turn and the answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same, and for what the ledger says of what was spent.
const LONGEST_FLIGHT: Duration = Duration::from_secs(4);

/// Everybody whom the operator has told of lately.
#[derive(Debug)]
pub(super) struct Identities {
    operator: Introspection,
    config: IdentitiesConfig,
    known: Cache<Digest, Arc<Known>>,
    nobodys: Cache<Digest, Refusal>,
    /// Questions that are under way: each is asked once, whoever waits for its answer.
    flights: Mutex<HashMap<Digest, Flight>>,
    turns: Semaphore,
    turns_of_known: Semaphore,
    questions: Questions,
    /// Whether the operator did not answer the last question.
    is_away: AtomicBool,
    /// Where questions are asked: a worker may end while others wait for the answer.
    runtime: Handle,
}

type Answer = Result<Arc<Known>, Refusal>;
type Flight = Shared<oneshot::Receiver<Answer>>;

/// A caller.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) principal: Principal,
    /// What its key has limits on.
    limits: Option<KeyLimits>,
    /// `None` where it may not use the gateway.
    pub(super) account: Option<Arc<Account>>,
    /// Of which the account was made.
    terms: Arc<Terms>,
    belief: Belief,
    is_asked_again: AtomicBool,
}

impl Identities {
    /// Nobody yet. Needs a tokio runtime.
    pub(super) fn new(config: &IdentitiesConfig, common: &Common, questions: Questions) -> anyhow::Result<Self> {
        let longest = config.grace.max(config.believed_for).saturating_add(NOBODYS_FOR);
        Ok(Self {
            operator: Introspection::new(common)?,
            config: config.clone(),
            known: Cache::builder().max_capacity(MOST_KNOWN).time_to_live(longest).build(),
            nobodys: Cache::builder().max_capacity(MOST_NOBODYS).time_to_live(NOBODYS_FOR).build(),
            flights: Mutex::default(),
            turns: Semaphore::new(MOST_QUESTIONS),
            turns_of_known: Semaphore::new(MOST_OF_KNOWN),
            questions,
            is_away: AtomicBool::new(false),
            runtime: Handle::current(),
        })
    }

    /// Who is believed to come with the secret of this digest, with an account under `terms`.
    pub(super) fn believed(&self, digest: &Digest, terms: &Arc<Terms>, now: Instant) -> Option<Arc<Known>> {
        let known = self.known.get(digest)?;
        (known.belief.holds(now) && Arc::ptr_eq(&known.terms, terms)).then_some(known)
    }

    /// Who was told of last to come with the secret of this digest.
    pub(super) fn remembered(&self, digest: &Digest) -> Option<Arc<Known>> {
        self.known.get(digest)
    }

    /// What `/ready` says where the operator does not answer.
    pub(super) fn trouble(&self) -> Option<&'static str> {
        let why = "the operator does not answer; callers with keys of its that are not known yet get 503";
        self.is_away.load(Ordering::Relaxed).then_some(why)
    }

    async fn ask(&self, secret: &str) -> Result<Said, CallError> {
        let turns = if self.known.contains_key(&sha256(secret)) { &self.turns_of_known } else { &self.turns };
        let asked = async {
            // It is never closed.
            let _turn = turns.acquire().await;
            self.operator.ask(secret).await
        };
        let said = tokio::time::timeout(PATIENCE, asked).await.unwrap_or(Err(CallError::Timeout));
        self.questions.count(match &said {
            Ok(Said::Known(..)) => "known",
            Ok(Said::Expired | Said::Nobodys) => "nobody",
            Err(_) => "no_answer",
        });
        let was_away = self.is_away.swap(said.is_err(), Ordering::Relaxed);
        match &said {
            Err(error) if !was_away => {
                tracing::warn!(%error, "the operator does not say who calls; known callers stay known for a while");
            }
            Ok(_) if was_away => tracing::info!("the operator says again who calls"),
            _ => {}
        }
        said
    }
}

impl Accounts {
    /// Who comes with `secret`, which has this digest: as is believed, or as the operator says now.
    pub(super) async fn identify(self: &Arc<Self>, digest: Digest, secret: &str) -> Answer {
        if let Some(known) = self.identities.believed(&digest, &self.terms(), Instant::now()) {
            return Ok(known);
        }
        if let Some(refusal) = self.identities.nobodys.get(&digest) {
            return Err(refusal);
        }
        let flight = self.fly(digest, secret).ok_or(Refusal::Unavailable)?;
        flight.await.unwrap_or(Err(Refusal::Unavailable))
    }

    /// Asks the operator again about a caller who is `known`, where that is due; nobody waits for it.
    pub(super) fn keep_known(self: &Arc<Self>, known: &Known, digest: Digest, secret: &str, now: Instant) {
        if known.belief.is_due(now) && !known.is_asked_again.swap(true, Ordering::Relaxed) {
            drop(self.fly(digest, secret));
        }
    }

    /// The question who comes with `secret`: the one that is under way, or a new one, unless too many are. It goes on
    /// though nobody waits.
    fn fly(self: &Arc<Self>, digest: Digest, secret: &str) -> Option<Flight> {
        let mut flights = self.identities.flights.lock();
        if let Some(flight) = flights.get(&digest) {
            return Some(flight.clone());
        }
        if flights.len() >= MOST_FLIGHTS && !self.identities.known.contains_key(&digest) {
            return None;
        }
        let (answer, flight) = oneshot::channel();
        let flight = flight.shared();
        flights.insert(digest, flight.clone());
        drop(flights);
        let (accounts, secret) = (self.clone(), SecretString::from(secret));
        self.identities.runtime.spawn(async move {
            let landing = Landing { accounts: Arc::downgrade(&accounts), digest };
            let learnt = tokio::time::timeout(LONGEST_FLIGHT, accounts.learn(digest, secret.expose_secret())).await;
            let known = learnt.unwrap_or(Err(Refusal::Unavailable));
            drop(landing);
            let _ = answer.send(known);
        });
        Some(flight)
    }

    /// Asks the operator, and remembers what it says.
    async fn learn(&self, digest: Digest, secret: &str) -> Answer {
        let (identities, asked_at) = (&self.identities, Instant::now());
        match identities.ask(secret).await {
            Ok(Said::Known(caller, left)) => {
                let belief = Belief::confirmed(asked_at, left, &identities.config);
                let IntrospectedCaller { limits, .. } = &*caller;
                self.welcome(digest, caller.principal(), limits.clone(), belief).await
            }
            Ok(Said::Expired) => self.refuse(digest, Refusal::Expired),
            Ok(Said::Nobodys) => self.refuse(digest, Refusal::Invalid),
            Err(_) => {
                let before = identities.remembered(&digest);
                let known = before.and_then(|known| {
                    let belief = known.belief.prolonged(Instant::now(), &identities.config)?;
                    Some((known.principal.clone(), known.limits.clone(), belief))
                });
                let (principal, limits, belief) = known.ok_or(Refusal::Unavailable)?;
                self.welcome(digest, principal, limits, belief).await
            }
        }
    }

    fn refuse(&self, digest: Digest, refusal: Refusal) -> Answer {
        self.identities.known.invalidate(&digest);
        self.identities.nobodys.insert(digest, refusal);
        Err(refusal)
    }

    /// Remembers a caller, with an account whose counters know what was spent before.
    async fn welcome(&self, digest: Digest, principal: Principal, limits: Option<KeyLimits>, belief: Belief) -> Answer {
        // While it is held here, its counters go on, whatever their limits are now.
        let (terms, before) = (self.terms(), self.identities.remembered(&digest));
        let is_same = |known: &&Arc<Known>| {
            known.principal == principal && known.limits == limits && Arc::ptr_eq(&known.terms, &terms)
        };
        let same = before.as_ref().filter(is_same);
        let account = match same {
            Some(known) => known.account.clone(),
            None => {
                let may = principal.may(Permission::UseGateway);
                let account = may.then(|| Arc::new(terms.keys.of_identity(&principal, limits.as_ref())));
                self.restore(account.iter()).await.map_err(|error| {
                    tracing::warn!(%error, "the ledger does not say what a caller's organisation has spent");
                    Refusal::Unavailable
                })?;
                account
            }
        };
        let (is_asked_again, is_new) = (AtomicBool::new(false), same.is_none());
        let known = Arc::new(Known { principal, limits, account, terms, belief, is_asked_again });
        self.identities.known.insert(digest, known.clone());
        if is_new {
            // Else the account before would hold its counters until some time later.
            drop(before);
            self.identities.known.run_pending_tasks();
        }
        Ok(known)
    }
}

/// Takes a question off the list of those under way, however it ends.
struct Landing {
    accounts: Weak<Accounts>,
    digest: Digest,
}

impl Drop for Landing {
    fn drop(&mut self) {
        if let Some(accounts) = self.accounts.upgrade() {
            accounts.identities.flights.lock().remove(&self.digest);
        }
    }
}
