//! Money and limits: who calls with which key, how much they may ask and spend, what each request cost.
//!
//! A route opens a [`Bill`] before it asks the gateway. That reserves an estimate on the key's meters; every provider
//! call reports to the bill what it spent; and when the last of them is gone, however that comes about, the bill
//! settles the truth, leaves a row in the ledger and counts. Nothing here asks a database on a request's way, and no
//! lock is held across an await.
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

use parking_lot::RwLock;
use vx11_chassis::config::Common;
use vx11_contracts::health::DependencyState;
use vx11_store::WriterHealth;

use crate::config::SwitchConfig;
use crate::domain::routing::Labels;
use crate::redis::Redis;
use crate::store::{Ledger, Spending};
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

/// Keys, prices, meters and the ledger. One for all workers.
#[derive(Debug)]
pub(crate) struct Accounts {
    terms: RwLock<Arc<Terms>>,
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
    /// Held while new counters are filled: nobody else's may be filled twice.
    restoring: tokio::sync::Mutex<()>,
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
            terms: RwLock::new(Arc::new(Terms::new(config, &common.secrets, None)?)),
            meters,
            ledger: Ledger::open(common, registry)?,
            tally: Tally::default(),
            identities: Identities::new(&config.identities, common, metrics.questions.clone())?,
            on_behalf: OnBehalf::default(),
            restoring: tokio::sync::Mutex::default(),
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

    /// Whether it can be counted what `caller` spends on `model`: without a price that would be nothing, and a budget
    /// would never be spent.
    pub(crate) fn can_charge(&self, caller: &Caller, model: &str) -> bool {
        match caller {
            Caller::Internal => true,
            Caller::Key(account) => !account.has_budget() || self.terms().prices.find(model).is_some(),
        }
    }

    /// What is in force now.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        self.terms.read().clone()
    }

    /// Puts `terms` in force for new requests. New limits know of what the ledger says was spent already.
    ///
    /// # Errors
    /// When the ledger does not answer; the terms before stay.
    pub(crate) async fn replace(&self, terms: Terms) -> anyhow::Result<()> {
        self.restore(terms.keys.all()).await?;
        *self.terms.write() = Arc::new(terms);
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
        let mut fresh =
            accounts.filter(|account| account.meters.iter().any(|meter| local::is_new(&account.tenant, meter)));
        let Some(first) = fresh.next() else { return Ok(()) };
        let (_alone, now_ms) = (self.restoring.lock().await, now_ms());
        let mut known: Vec<(Window, Vec<Spending>)> = Vec::new();
        for account in std::iter::once(first).chain(fresh) {
            for meter in account.meters.iter().filter(|meter| local::is_new(&account.tenant, meter)) {
                let window = meter.period.window(now_ms);
                let at = match known.iter().position(|(other, _)| *other == window) {
                    Some(at) => at,
                    None => {
                        let from = crate::store::rfc3339(window.start_ms.max(0));
                        known.push((window, self.ledger.spent_since(from).await?));
                        known.len() - 1
                    }
                };
                local::restore(&account.tenant, meter, spent(account, meter, &known[at].1), now_ms);
            }
        }
        Ok(())
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
