//! Whose rows a transaction is about.

use std::sync::Arc;

/// Whose rows a transaction may see and change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One tenant's.
    Org(Arc<str>),
    /// Everybody's: for what serves all tenants alike, such as the sweeper, and for the platform's own reports.
    Platform,
}

impl Scope {
    /// Tells PostgreSQL that a connection is for everybody's rows, until it ends.
    pub(super) const EVERYTHING: &str = "SET vx11.platform = 'on'";

    /// What tells PostgreSQL, until the transaction ends. The policies of its tables ask for these two settings.
    pub(super) fn setting(&self) -> String {
        match self {
            // No statement ends and no literal does: what is no quote stands for itself.
            Self::Org(org) => format!("SET LOCAL vx11.org = '{}'", org.replace('\0', "").replace('\'', "''")),
            Self::Platform => "SET LOCAL vx11.platform = 'on'".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_say_more_than_a_name() {
        let scope = Scope::Org("a'; SET vx11.platform = 'on".into());
        assert_eq!(scope.setting(), "SET LOCAL vx11.org = 'a''; SET vx11.platform = ''on'");
    }
}
