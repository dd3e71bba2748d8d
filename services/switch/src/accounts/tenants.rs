//! Everybody who shares limits, by name: keys of the configuration and callers whom the operator knows are one tenant
//! where they are of one organisation, under this configuration and the next.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::account::{Book, Tenant};

/// Tenants that are kept for nobody; beyond it, those that nobody holds are dropped, and the ledger fills their counters
/// when they come back.
const MOST_IDLE: usize = 10_000;

/// Every tenant that was seen.
#[derive(Debug, Default)]
pub(super) struct Tenants(Mutex<BTreeMap<String, Arc<Tenant>>>);

impl Tenants {
    /// The tenant of this name, a new one where there is none.
    pub(super) fn open(&self, name: String) -> Arc<Tenant> {
        let mut tenants = self.0.lock();
        if tenants.len() >= MOST_IDLE && !tenants.contains_key(&name) {
            tenants.retain(|_, tenant| Arc::strong_count(tenant) > 1);
        }
        let open = || Arc::new(Tenant::new(name.clone(), Book::default()));
        tenants.entry(name.clone()).or_insert_with(open).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_the_same_one_as_long_as_somebody_holds_it_and_there_are_not_too_many() {
        let tenants = Tenants::default();
        let held = tenants.open("org:acme".to_owned());
        for n in 0..2 * MOST_IDLE {
            tenants.open(n.to_string());
        }
        assert!(tenants.0.lock().len() <= MOST_IDLE);
        assert!(Arc::ptr_eq(&held, &tenants.open("org:acme".to_owned())));
    }
}
