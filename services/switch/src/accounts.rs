//! Money and limits: who calls with which key, how much they may ask and spend, what each request cost.
//!
//! A route opens a [`Bill`] before it asks the gateway. That reserves an estimate on the key's meters; every provider
//! call reports to the bill what it spent; and when the last of them is gone, however that comes about, the bill
//! settles the truth, leaves a row in the ledger and counts. Requests are counted in memory, and no lock of theirs is held
//! across an await. The ledger is asked on a request's way where a counter begins with it, for a bounded time: for the
//! first one of a caller of the operator's, or for an organisation.
//!
//! Callers with the shared token are VX11's own: they have no limits, and are in the ledger all the same. What they ask for
//! an organisation, which they name, is that organisation's.

mod account;
mod bill;
mod credentials;
mod estimate;
mod identities;
mod keys;
mod local;
mod meters;
mod metrics;
mod money;
mod on_behalf;
mod period;
mod prices;
mod shared;
mod tally;
mod tenants;
mod terms;
mod tier;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use tokio::task::spawn_blocking;
use vx11_chassis::config::Common;
use vx11_contracts::health::DependencyState;
use vx11_redis::Redis;
use vx11_store::WriterHealth;

use crate::config::SwitchConfig;
use crate::domain::routing::Labels;
use crate::store::{Ledger, Payer, Spending};
use account::{Account, Meter, Unit};
use identities::Identities;
use local::LocalMeters;
use meters::Meters;
use metrics::Metrics;
pub(crate) use metrics::ModelSpent;
use on_behalf::OnBehalf;
use period::{Window, now_ms};
use shared::SharedMeters;
use tally::Tally;

pub(crate) use bill::{Asked, Bill, Charge, Denied};
pub(crate) use credentials::{Caller, Callers};
pub(crate) use estimate::{ATTACHMENT, tokens as estimate_tokens};
pub(crate) use keys::digest_of_hex;
pub(crate) use meters::{Level, Refused};
pub(crate) use money::{Usd, render_picos};
pub(crate) use prices::PriceTable;
pub(crate) use terms::Terms;
pub(crate) use tier::Tier;
pub(crate) use tokens::{SoFar, Tokens};

/// The key that requests with the shared token are under in the ledger.
pub(crate) const INTERNAL: &str = "internal";
/// The key that copies for shadow targets are under there, whoever sent the request.
pub(crate) const SHADOW: &str = "shadow";
/// Longest wait of a request for what the ledger says.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Keys, prices, meters and the ledger. One for all workers.
#[derive(Debug)]
pub(crate) struct Accounts {
    terms: ArcSwap<Terms>,
    /// Whose the requests with the shared token are.
    internal: Arc<Account>,
    /// Whose the copies for shadow targets are: no caller pays for them.
    shadow: Arc<Account>,
    meters: Box<dyn Meters>,
    ledger: Ledger,
    tally: Tally,
    metrics: Metrics,
    /// Callers whom the operator knows.
    identities: Identities,
    /// Organisations that VX11's own services ask for.
    on_behalf: OnBehalf,
}

impl Accounts {
    /// The accounts of `config`, with what the ledger says that they have spent already; counted in `redis`, where
    /// there is one. Needs a tokio runtime.
    ///
    /// # Errors
    /// When a key's secret or the ledger cannot be used.
    pub(crate) async fn open(
        config: &SwitchConfig,
        common: &Common,
        redis: Option<Arc<Redis>>,
        registry: &prometheus::Registry,
    ) -> anyhow::Result<Arc<Self>> {
        let metrics = Metrics::new(registry)?;
        let meters: Box<dyn Meters> = match redis {
            None => Box::new(LocalMeters),
            Some(redis) => Box::new(SharedMeters::start(redis, metrics.settlements_folded.clone())),
        };
        let accounts = Arc::new(Self {
            internal: Arc::new(Account::unlimited(INTERNAL)),
            shadow: Arc::new(Account::unlimited(SHADOW)),
            terms: ArcSwap::from_pointee(Terms::new(config, &common.secrets, None)?),
            meters,
            ledger: Ledger::open(common, registry)?,
            tally: Tally::default(),
            identities: Identities::new(&config.identities, common, metrics.questions.clone())?,
            on_behalf: OnBehalf::default(),
            metrics,
        });
        accounts.restore(accounts.terms().keys.all()).await?;
        accounts.metrics.watch(registry, Arc::downgrade(&accounts))?;
        Ok(accounts)
    }

    /// What is counted of the models that may be charged for, by the places of their labels.
    pub(crate) fn expect_models(&self, provider: &str, labels: &Labels) -> Box<[ModelSpent]> {
        let provider: Arc<str> = provider.into();
        labels.all().iter().map(|label| self.metrics.model(provider.clone(), label.clone())).collect()
    }

    /// Whose the requests of `caller` are: what is one tenant's is no other's.
    pub(crate) fn tenant<'a>(&'a self, caller: &'a Caller) -> &'a str {
        match caller {
            Caller::Internal => &self.internal.tenant.name,
            Caller::Key(account) => &account.tenant.name,
        }
    }

    /// What is in force now.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.load_full()
    }

    /// Puts `terms` in force for new requests. New limits know of what the ledger says was spent already. No caller
    /// has to wait, and nobody keeps an account of the terms before: it would hold counters of limits that are gone, and
    /// these would miss what is spent until the limits come back.
    ///
    /// # Errors
    /// When the ledger does not answer; the terms before stay.
    pub(crate) async fn replace(self: &Arc<Self>, terms: Terms) -> anyhow::Result<()> {
        let terms = Arc::new(terms);
        let (accounts, new_terms) = (self.clone(), terms.clone());
        let remembered = move || (accounts.identities.under(&new_terms), accounts.on_behalf.under(&new_terms));
        let (callers, orgs) = spawn_blocking(remembered).await.context("accounts under new terms")?;
        let of_callers = callers.iter().filter_map(|(_, standing)| standing.account.as_ref());
        self.restore(terms.keys.all().chain(of_callers).chain(orgs.iter().map(|(_, standing)| &standing.account)))
            .await?;
        self.terms.store(terms);
        callers.into_iter().for_each(|(known, standing)| known.standing.store(Arc::new(standing)));
        self.on_behalf.put(orgs);
        Ok(())
    }

    /// The ledger.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// What `/ready` says of limits and ledger.
    pub(crate) fn dependencies(&self) -> [(String, DependencyState); 3] {
        let ledger = match self.ledger.health() {
            WriterHealth::Ok => DependencyState::up(),
            WriterHealth::Degraded { reason, backlog_rows, .. } => {
                DependencyState::degraded(format!("{reason}; rows kept in memory: {backlog_rows}"))
            }
            WriterHealth::Stopped => DependencyState::degraded("the writer has stopped"),
        };
        let limits = self.meters.trouble().map_or_else(DependencyState::up, DependencyState::degraded);
        let identities = self.identities.trouble().map_or_else(DependencyState::up, DependencyState::degraded);
        [("ledger".to_owned(), ledger), ("limits".to_owned(), limits), ("identities".to_owned(), identities)]
    }

    /// Waits until everything is counted, settled and written, at most this long each: after the last request.
    pub(crate) async fn flush(&self, limit: Duration) {
        self.tally.flush(limit).await;
        self.meters.flush(limit).await;
        self.ledger.flush(limit).await;
    }

    /// Fills the process's own counters that are new with what was spent before they began.
    async fn restore(&self, accounts: impl Iterator<Item = &Arc<Account>>) -> anyhow::Result<()> {
        let is_fresh =
            |account: &&Arc<Account>| account.meters.iter().any(|meter| local::is_new(&account.tenant, meter));
        let fresh: Vec<&Arc<Account>> = accounts.filter(is_fresh).collect();
        let mut known: Vec<(Window, Payer, Vec<Spending>)> = Vec::new();
        for account in &fresh {
            let (_alone, now_ms) = (account.tenant.restoring.lock().await, now_ms());
            for meter in account.meters.iter().filter(|meter| local::is_new(&account.tenant, meter)) {
                let window = meter.period.window(now_ms);
                // For many at once everybody's rows are read once; one does not wait for all that others have spent.
                let payer = if fresh.len() == 1 { payer(account, meter) } else { Payer::Everybody };
                let at = match known.iter().position(|(other, whose, _)| (other, whose) == (&window, &payer)) {
                    Some(at) => at,
                    None => {
                        let from = crate::store::rfc3339(window.start_ms.max(0));
                        let spendings = self.ledger.spent_since(from, payer.clone()).await?;
                        known.push((window, payer, spendings));
                        known.len() - 1
                    }
                };
                local::restore(&account.tenant, meter, spent(account, meter, &known[at].2), now_ms);
            }
        }
        Ok(())
    }
}

/// Whose rows are counted on `meter`, and perhaps some more.
fn payer(account: &Account, meter: &Meter) -> Payer {
    if meter.scope.starts_with("key:") {
        Payer::Key(account.key.as_ref().to_owned())
    } else {
        Payer::Org(account.org.as_ref().to_owned())
    }
}

/// How much of `meter` was taken, by everybody that shares it.
fn spent(account: &Account, meter: &Meter, spendings: &[Spending]) -> u64 {
    let shares = |spending: &&Spending| match meter.scope.split_once(':') {
        Some(("key", key)) => spending.key == key,
        Some(("team", team)) => *spending.org == *account.org && spending.team == team,
        _ => *spending.org == *account.org,
    };
    let taken = spendings.iter().filter(shares).map(|spending| match meter.unit {
        Unit::Requests => spending.requests,
        Unit::Tokens => spending.tokens,
        Unit::Money => spending.cost_picos.try_into().unwrap_or(u64::MAX),
    });
    taken.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
