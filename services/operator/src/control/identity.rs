//! Who may call, kept: organisations, pilots and their sessions, keys, what was revoked, and the keys that sign.
//!
//! What one organisation has is kept by a repository of that organisation. What is the platform's own (organisations,
//! the keys that sign, and the look for a bearer whose organisation isn't known yet) is asked of [`Control`] itself.

mod bearers;
mod key_limits;
mod keys;
mod orgs;
mod passwords;
mod pilots;
mod sessions;
mod signing;
#[cfg(test)]
mod tests;

use vx11_contracts::identity::OrgId;

use super::Control;

pub(crate) use bearers::{Bearer, Standing};
pub(crate) use key_limits::KeyError;
pub(crate) use keys::Keys;
pub(crate) use passwords::local_id;
pub(crate) use pilots::{ChangeError, Entry, Person, Pilots};
pub(crate) use sessions::{Owner, Refreshed, Session};

/// What stands before the names of those who come with a password; no provider may be called so.
pub(crate) const PASSWORD_PROVIDER: &str = "local";

impl Control {
    /// The API keys of one organisation.
    pub(crate) fn keys(&self, org: &OrgId) -> Keys {
        Keys::new(self.database.clone(), org.clone())
    }

    /// The pilots of one organisation.
    pub(crate) fn pilots(&self, org: &OrgId) -> Pilots {
        Pilots::new(self.database.clone(), org.clone())
    }
}
