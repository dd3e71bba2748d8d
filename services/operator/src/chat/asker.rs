//! On whose behalf a chat is.

use std::borrow::Cow;

use http::HeaderValue;
use vx11_contracts::identity::{OrgId, Principal};

/// The organisation that asks, and who in it.
#[derive(Clone, Debug)]
pub(crate) struct Asker {
    /// Whose rows the chat leaves, and whose history it sees.
    pub(crate) org: OrgId,
    /// What the switch and madre are told of it. Nothing of what the installation itself asks, for which no limits are.
    pub(crate) told: Option<HeaderValue>,
    /// The subject that asks, for the rules that hold requests: whose is held does not decide. Not of a service's own.
    pub(crate) subject: Option<HeaderValue>,
}

impl Asker {
    /// The organisation of `principal`.
    pub(crate) fn of(principal: &Principal) -> Self {
        let org = principal.org.clone();
        let is_own = org.is_platform() && principal.subject == Principal::service().subject;
        // An organisation's id fits into a header.
        let told = if is_own { None } else { HeaderValue::from_str(org.as_str()).ok() };
        let is_service = principal.subject == Principal::service().subject;
        // So does whoever has proven who it is.
        let subject = if is_service { None } else { HeaderValue::from_str(&principal.subject).ok() };
        Self { org, told, subject }
    }

    /// The name of a session among those of all organisations.
    pub(super) fn session<'s>(&self, id: &'s str) -> Cow<'s, str> {
        // No id has a space in it.
        if self.org.is_platform() { Cow::Borrowed(id) } else { Cow::Owned(format!("{} {id}", self.org)) }
    }
}

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::{Role, Scopes};

    use super::*;

    #[test]
    fn everybody_but_the_installation_itself_asks_for_an_organisation() {
        let asker = |org: &str, subject: &str| {
            let org = org.parse().expect("an id");
            Asker::of(&Principal { org, subject: subject.into(), role: Role::Operator, scopes: Scopes::ALL })
        };
        assert_eq!(asker("default", "service").told, None);
        assert_eq!(asker("default", "key:aB3dE5fG").told.expect("told"), "default");
        assert_eq!(asker("acme", "service").told.expect("told"), "acme");
        assert_eq!(asker("acme", "service").subject, None);
        assert_eq!(asker("acme", "github:ann").subject.expect("told"), "github:ann");
    }

    #[test]
    fn sessions_of_two_organisations_are_two_whatever_they_are_called() {
        let asker = |org: &str| Asker { org: org.parse().expect("an id"), told: None, subject: None };
        let names = [("default", "s"), ("acme", "s"), ("globex", "s"), ("default", "acme/s")];
        let names: std::collections::BTreeSet<_> = names.map(|(org, id)| asker(org).session(id).into_owned()).into();
        assert_eq!(names.len(), 4);
    }
}
