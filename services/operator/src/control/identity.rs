//! Who may call, kept: organisations, keys, what was revoked, and the keys that sign.
//!
//! What one organisation has is kept by a repository of that organisation. What is the platform's own (organisations,
//! the keys that sign, and the look for a bearer whose organisation isn't known yet) is asked of [`Control`] itself.

mod bearers;
mod keys;
mod orgs;
mod signing;
#[cfg(test)]
mod tests;

use vx11_contracts::identity::OrgId;

use super::Control;

pub(crate) use bearers::Bearer;
pub(crate) use keys::Keys;

impl Control {
    /// The API keys of one organisation.
    pub(crate) fn keys(&self, org: &OrgId) -> Keys {
        Keys::new(self.database.clone(), org.clone())
    }
}
