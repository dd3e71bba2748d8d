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

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::Shared;
use moka::sync::Cache;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, oneshot};
use vx11_chassis::auth::Refusal;
use vx11_chassis::config::Common;
use vx11_contracts::identity::{IntrospectedCaller, KeyLimits, Permission, Principal};

use super::account::Account;
use super::keys::{ByDigest, Digest};
use super::metrics::Questions;
use super::terms::Terms;
use super::{Accounts, LONGEST_LOOK};
use crate::config::IdentitiesConfig;
pub(super) use belief::Belief;
use introspection::{Introspection, Said};

/// Callers that are remembered at a time.
const MOST_KNOWN: u64 = 10_000;
/// Secrets that are remembered to be nobody's; apart from the callers, so that who makes up many pushes none of them out.
const MOST_NOBODYS: u64 = 10_000;
/// How long these are remembered: keys are random, so one that is nobody's stays that.
const NOBODYS_FOR: Duration = Duration::from_secs(10);
/// Questions that are under way at a time; others wait for their turn.
const MOST_QUESTIONS: usize = 32;
/// The same about callers who are known: whoever makes up keys takes none of these turns. As many as are remembered are
/// asked about in time where the operator answers within six milliseconds.
const MOST_OF_KNOWN: usize = 32;
/// Questions, under way or waiting for their turn. One more is asked only about a caller who is known.
const MOST_FLIGHTS: usize = 1024;
/// Longest wait for a turn. It is longer than a question may take, so who gets none knows how those before ended.
const LONGEST_TURN: Duration = Duration::from_millis(1250);
/// Longest wait of one caller for its turn, for the answer, and for what the ledger says of what was spent.
const LONGEST_FLIGHT: Duration = Duration::from_secs(4);

/// Everybody whom the operator has told of lately.
#[derive(Debug)]
pub(super) struct Identities {
    operator: Introspection,
    config: IdentitiesConfig,
    known: Cache<Digest, Arc<Known>, ByDigest>,
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
    /// Replaced when other terms come into force.
    pub(super) standing: ArcSwap<Standing>,
    belief: Belief,
    is_asked_again: AtomicBool,
}

impl Known {
    /// `None` where it may not use the gateway.
    pub(super) fn account(&self) -> Option<Arc<Account>> {
        self.standing.load().account.clone()
    }
}

/// What a caller may under some terms.
#[derive(Debug)]
pub(super) struct Standing {
    /// `None` where it may not use the gateway.
    pub(super) account: Option<Arc<Account>>,
    /// Of which the account was made.
    terms: Arc<Terms>,
}

impl Standing {
    pub(super) fn new(principal: &Principal, limits: Option<&KeyLimits>, terms: &Arc<Terms>) -> Self {
        let account = principal.may(Permission::UseGateway);
        let account = account.then(|| Arc::new(terms.keys.of_identity(principal, limits)));
        Self { account, terms: terms.clone() }
    }

    /// Whether it is the one under `terms`.
    pub(super) fn is_under(&self, terms: &Arc<Terms>) -> bool {
        Arc::ptr_eq(&self.terms, terms)
    }
}

/// Why it is not said who calls.
enum Silence {
    /// The operator did not answer.
    Away,
    /// Others had every turn.
    NoTurn,
}

impl Identities {
    /// Nobody yet. Needs a tokio runtime.
    pub(super) fn new(config: &IdentitiesConfig, common: &Common, questions: Questions) -> anyhow::Result<Self> {
        let longest = config.grace.max(config.believed_for).saturating_add(NOBODYS_FOR);
        Ok(Self {
            operator: Introspection::new(common)?,
            config: config.clone(),
            known: Cache::builder()
                .max_capacity(MOST_KNOWN)
                .time_to_live(longest)
                .build_with_hasher(ByDigest::default()),
            nobodys: Cache::builder().max_capacity(MOST_NOBODYS).time_to_live(NOBODYS_FOR).build(),
            flights: Mutex::default(),
            turns: Semaphore::new(MOST_QUESTIONS),
            turns_of_known: Semaphore::new(MOST_OF_KNOWN),
            questions,
            is_away: AtomicBool::new(false),
            runtime: Handle::current(),
        })
    }

    /// Who is believed to come with the secret of this digest.
    pub(super) fn believed(&self, digest: &Digest, now: Instant) -> Option<Arc<Known>> {
        self.known.get(digest).filter(|known| known.belief.holds(now))
    }

    /// What everybody who is known will be under `terms`.
    pub(super) fn under(&self, terms: &Arc<Terms>) -> Vec<(Arc<Known>, Standing)> {
        let standing = |known: &Known| Standing::new(&known.principal, known.limits.as_ref(), terms);
        self.known.iter().map(|(_, known)| (known.clone(), standing(&known))).collect()
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

    /// Takes every turn about callers who are known.
    #[cfg(test)]
    pub(super) async fn take_turns(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.turns_of_known.acquire_many(MOST_OF_KNOWN as u32).await.expect("it is never closed")
    }

    /// The operator has not answered.
    #[cfg(test)]
    pub(super) fn set_away(&self) {
        self.is_away.store(true, Ordering::Relaxed);
    }

    async fn ask(&self, digest: &Digest, secret: &str) -> Result<Said, Silence> {
        let turns = if self.known.contains_key(digest) { &self.turns_of_known } else { &self.turns };
        let Ok(_turn) = tokio::time::timeout(LONGEST_TURN, turns.acquire()).await else {
            self.questions.count("not_asked");
            return Err(Silence::NoTurn);
        };
        let said = self.operator.ask(secret).await;
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
        said.map_err(|_| Silence::Away)
    }
}

impl Accounts {
    /// Who comes with `secret`, which has this digest: as is believed, or as the operator says now.
    pub(super) async fn identify(self: &Arc<Self>, digest: Digest, secret: &str) -> Answer {
        if let Some(known) = self.identities.believed(&digest, Instant::now()) {
            self.renew(&known).await?;
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
        match identities.ask(&digest, secret).await {
            Ok(Said::Known(caller, left)) => {
                let belief = Belief::confirmed(asked_at, left, &identities.config);
                let IntrospectedCaller { limits, .. } = &*caller;
                self.welcome(digest, caller.principal(), limits.clone(), belief).await
            }
            Ok(Said::Expired) => self.refuse(digest, Refusal::Expired),
            Ok(Said::Nobodys) => self.refuse(digest, Refusal::Invalid),
            // Too many callers are no reason to believe one for longer: the operator does answer.
            Err(Silence::NoTurn) if !identities.is_away.load(Ordering::Relaxed) => {
                let known = identities.believed(&digest, Instant::now()).ok_or(Refusal::Unavailable)?;
                known.is_asked_again.store(false, Ordering::Relaxed);
                Ok(known)
            }
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
    pub(super) async fn welcome(
        &self,
        digest: Digest,
        principal: Principal,
        limits: Option<KeyLimits>,
        belief: Belief,
    ) -> Answer {
        // While it is held here, its counters go on, whatever their limits are now.
        let (terms, before) = (self.terms(), self.identities.remembered(&digest));
        let same = before.as_ref().filter(|known| known.principal == principal && known.limits == limits);
        let same = same.map(|known| known.standing.load_full()).filter(|standing| standing.is_under(&terms));
        let is_new = same.is_none();
        let standing = match same {
            Some(standing) => standing,
            None => self.standing(&principal, limits.as_ref(), &terms).await?,
        };
        let (standing, is_asked_again) = (ArcSwap::new(standing), AtomicBool::new(false));
        let known = Arc::new(Known { principal, limits, standing, belief, is_asked_again });
        self.identities.known.insert(digest, known.clone());
        if is_new {
            // Else the account before would hold its counters until some time later.
            drop(before);
            self.identities.known.run_pending_tasks();
        }
        Ok(known)
    }

    /// Gives a caller who is `known` its standing under the terms in force, where it was not there yet when these came.
    async fn renew(&self, known: &Known) -> Result<(), Refusal> {
        let terms = self.terms();
        if !known.standing.load().is_under(&terms) {
            let standing = self.standing(&known.principal, known.limits.as_ref(), &terms);
            let standing = tokio::time::timeout(LONGEST_LOOK, standing).await;
            known.standing.store(standing.unwrap_or(Err(Refusal::Unavailable))?);
        }
        Ok(())
    }

    async fn standing(
        &self,
        principal: &Principal,
        limits: Option<&KeyLimits>,
        terms: &Arc<Terms>,
    ) -> Result<Arc<Standing>, Refusal> {
        let standing = Standing::new(principal, limits, terms);
        self.restore(standing.account.iter()).await.map_err(|error| {
            tracing::warn!(%error, "the ledger does not say what a caller's organisation has spent");
            Refusal::Unavailable
        })?;
        Ok(Arc::new(standing))
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
