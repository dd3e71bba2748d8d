//! Who acts.

use vx11_contracts::intervention::Role;

use crate::domain::audit::Origin;

/// Who is named where time decided.
pub(crate) const TIMEOUT: &str = "system:timeout";

/// Who acts: the principal of the request, never a field of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The token's or key's subject.
    pub(crate) subject: String,
    /// What they may do.
    pub(crate) role: Role,
    /// Where from, for the audit log; it decides nothing.
    pub(crate) origin: Origin,
}

impl Actor {
    pub(crate) fn new(subject: impl Into<String>, role: Role) -> Self {
        Self { subject: subject.into(), role, origin: Origin::default() }
    }

    /// The same, from there.
    #[must_use]
    pub(crate) fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// The sweeper, which only lets time have its way.
    pub(crate) fn timeout() -> Self {
        Self::new(TIMEOUT, Role::Viewer)
    }
}
