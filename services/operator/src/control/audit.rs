//! The audit log: each organisation's a chain of hashes. A row is appended with the change that it tells of, and linked
//! into the chain a moment later.
//!
//! Who links holds the chain's head until the transaction ends, so that there is neither a gap nor a fork however many
//! replicas there are. Who appends waits for nobody.

mod append;
mod export;
mod link;
mod marks;
mod read;
#[cfg(test)]
mod tests;
mod verify;

use vx11_contracts::identity::OrgId;
use vx11_store::{AnyConnection, Database, Scope, StoreError};

use super::Control;
use crate::domain::audit::Entry;

pub(super) use append::append;
pub(crate) use read::Conditions;
pub(crate) use verify::{Audited, Proof};

/// The audit log of one organisation.
#[derive(Clone, Debug)]
pub(crate) struct AuditLog {
    database: Database,
    org: OrgId,
}

impl Control {
    /// The audit log of one organisation.
    pub(crate) fn audit_log(&self, org: &OrgId) -> AuditLog {
        AuditLog { database: self.database.clone(), org: org.clone() }
    }
}

impl AuditLog {
    /// Appends what changed nothing, in one transaction.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(crate) async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        let org = self.org.clone();
        let write = move |conn: &mut AnyConnection| {
            Ok::<_, StoreError>(entries.iter().try_for_each(|entry| append(conn, org.as_str(), entry))?)
        };
        self.database.write(self.scope(), write).await
    }

    fn scope(&self) -> Scope {
        Scope::Org(self.org.as_str().into())
    }
}
