//! Who acts.

use vx11_contracts::intervention::Role;

/// Who is named where time decided.
pub(crate) const TIMEOUT: &str = "system:timeout";

/// Who acts: the principal of the request, never a field of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Actor {
    /// The token's or key's subject.
    pub(crate) subject: String,
    /// What they may do.
    pub(crate) role: Role,
}

impl Actor {
    pub(crate) fn new(subject: impl Into<String>, role: Role) -> Self {
        Self { subject: subject.into(), role }
    }

    /// The sweeper, which only lets time have its way.
    pub(crate) fn timeout() -> Self {
        Self::new(TIMEOUT, Role::Viewer)
    }
}
