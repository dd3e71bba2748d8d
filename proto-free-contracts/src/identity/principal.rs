//! Who a request is from, once that is proven.

use std::sync::{Arc, LazyLock};

use super::{OrgId, Permission, Role, Scopes};

/// A caller: of which organisation, who there, and how much it may. Cheap to clone.
///
/// It can't be read from a body: only what proves a caller makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The organisation whose rows it sees.
    pub org: OrgId,
    /// Who it is within the organisation: a pilot such as `github:octocat`, a key such as `key:aB3dE5fG`.
    pub subject: Arc<str>,
    /// How much it may.
    pub role: Role,
    /// What its token or key is for.
    pub scopes: Scopes,
}

impl Principal {
    /// Who comes with the token that all services share: the platform itself.
    pub fn service() -> Self {
        static SERVICE: LazyLock<Principal> = LazyLock::new(|| Principal {
            org: OrgId::platform(),
            subject: "service".into(),
            role: Role::Admin,
            scopes: Scopes::ALL,
        });
        SERVICE.clone()
    }

    /// The same with no scope but those of `scopes` that it has.
    #[must_use]
    pub fn narrowed(self, scopes: Scopes) -> Self {
        Self { scopes: self.scopes.and(scopes), ..self }
    }

    /// Whether it may do what `permission` names, in its own organisation.
    pub fn may(&self, permission: Permission) -> bool {
        self.role.covers(permission.role())
            && self.scopes.contains(permission.scope())
            && (self.org.is_platform() || !permission.is_platforms())
    }

    /// As [`Principal::may`], for a permission that is named in text. One that nobody knows is denied.
    pub fn may_named(&self, permission: &str) -> bool {
        Permission::from_name(permission).is_some_and(|permission| self.may(permission))
    }

    /// What it may, for a page that shows no button in vain.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(|permission| self.may(*permission))
    }
}
