//! Requests that VX11's own services make for an organisation, as its chats are: what it may spend holds for them too.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use moka::sync::Cache;
use vx11_contracts::identity::OrgId;

use super::account::Account;
use super::terms::Terms;
use super::{Accounts, Caller, LONGEST_LOOK};

/// Organisations that are remembered at a time.
const MOST: u64 = 10_000;
/// How long one is remembered for which nobody asks.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// The accounts of organisations that services act for.
#[derive(Debug)]
pub(super) struct OnBehalf(Cache<OrgId, Standing>);

/// An organisation's account under some terms.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) account: Arc<Account>,
    /// Of which it was made.
    terms: Arc<Terms>,
}

impl Standing {
    fn new(org: &OrgId, terms: &Arc<Terms>) -> Self {
        Self { account: Arc::new(terms.keys.of_services_for(org)), terms: terms.clone() }
    }
}

impl Default for OnBehalf {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build())
    }
}

impl OnBehalf {
    /// What each one's account will be under `terms`.
    pub(super) fn under(&self, terms: &Arc<Terms>) -> Vec<(OrgId, Standing)> {
        self.0.iter().map(|(org, _)| (org.as_ref().clone(), Standing::new(&org, terms))).collect()
    }

    /// Remembers these in place of those before.
    pub(super) fn put(&self, standings: Vec<(OrgId, Standing)>) {
        standings.into_iter().for_each(|(org, standing)| self.0.insert(org, standing));
        // Else those before would hold their counters until some time later.
        self.0.run_pending_tasks();
    }
}

impl Accounts {
    /// Who pays for what one of VX11's own services asks for `org`; told within `left`.
    ///
    /// # Errors
    /// When the ledger does not say, or not in time, what it has spent before.
    pub(crate) async fn on_behalf_of(&self, org: &OrgId, left: Duration) -> anyhow::Result<Caller> {
        let terms = self.terms();
        if let Some(known) = self.on_behalf.0.get(org)
            && Arc::ptr_eq(&known.terms, &terms)
        {
            return Ok(Caller::Key(known.account));
        }
        let standing = Standing::new(org, &terms);
        let restored = self.restore(std::iter::once(&standing.account));
        tokio::time::timeout(left.min(LONGEST_LOOK), restored).await.context("the ledger takes too long")??;
        let account = standing.account.clone();
        self.on_behalf.0.insert(org.clone(), standing);
        Ok(Caller::Key(account))
    }
}
