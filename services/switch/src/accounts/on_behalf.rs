//! Requests that VX11's own services make for an organisation, as its chats are: what it may spend holds for them too.

use std::sync::Arc;

use moka::sync::Cache;
use vx11_contracts::identity::OrgId;

use super::account::Account;
use super::terms::Terms;
use super::{Accounts, Caller};

/// Organisations that are remembered at a time.
const MOST: u64 = 10_000;

/// The accounts of organisations that services act for.
#[derive(Debug)]
pub(super) struct OnBehalf(Cache<OrgId, Arc<Known>>);

#[derive(Debug)]
struct Known {
    account: Arc<Account>,
    /// Of which it was made.
    terms: Arc<Terms>,
}

impl Default for OnBehalf {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl Accounts {
    /// Who pays for what one of VX11's own services asks for `org`.
    ///
    /// # Errors
    /// When the ledger does not say what it has spent before.
    pub(crate) async fn on_behalf_of(&self, org: &OrgId) -> anyhow::Result<Caller> {
        let terms = self.terms();
        if let Some(known) = self.on_behalf.0.get(org)
            && Arc::ptr_eq(&known.terms, &terms)
        {
            return Ok(Caller::Key(known.account.clone()));
        }
        let account = Arc::new(terms.keys.of_services_for(org));
        self.restore(std::iter::once(&account)).await?;
        self.on_behalf.0.insert(org.clone(), Arc::new(Known { account: account.clone(), terms }));
        Ok(Caller::Key(account))
    }
}
