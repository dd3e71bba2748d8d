//! What a new API key is to be: read from what was asked, and checked.

use jiff::Timestamp;
use vx11_contracts::identity::{KeyLimits, MAX_NAME_CHARS, NewKey, Principal, Role, Scopes};

use super::key_limits;

/// What a new key is to be.
#[derive(Clone, Debug)]
pub(crate) struct KeyTerms {
    /// For people.
    pub(crate) name: String,
    /// How much it may.
    pub(crate) role: Role,
    /// What it is for.
    pub(crate) scopes: Scopes,
    /// Until when it is good.
    pub(crate) expires_at: Option<Timestamp>,
    /// Who makes it.
    pub(crate) created_by: String,
    /// What it may ask of the gateway, and spend there, where that is limited.
    pub(crate) limits: Option<KeyLimits>,
}

/// A field that does not fit, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub(crate) struct Unfit {
    /// The field.
    pub(crate) field: &'static str,
    /// Why.
    pub(crate) detail: &'static str,
}

impl KeyTerms {
    /// The terms that `asked` says, for a key that `created_by` makes.
    ///
    /// # Errors
    /// [`Unfit`] when there can be no such key.
    pub(crate) fn read(asked: &NewKey, created_by: &str, now: Timestamp) -> Result<Self, Unfit> {
        let unfit = |field, detail| Err(Unfit { field, detail });
        let name = name_for_people(&asked.name).ok_or(Unfit { field: "name", detail: NAME_RULE })?;
        let scopes: Scopes = asked.scopes.iter().copied().collect();
        if scopes.is_empty() {
            return unfit("scopes", "one at least: a key without a scope may nothing");
        }
        let expires_at = match asked.expires_at.as_deref().map(str::parse::<Timestamp>).transpose() {
            Ok(Some(at)) if at <= now => return unfit("expires_at", "must be in the future"),
            Ok(expires_at) => expires_at,
            Err(_) => return unfit("expires_at", "must be a time such as 2027-01-01T00:00:00Z"),
        };
        let limits = asked.limits.clone().and_then(KeyLimits::some);
        limits.as_ref().map_or(Ok(()), |limits| key_limits::check(limits, scopes))?;
        Ok(Self { name, role: asked.role, scopes, expires_at, created_by: created_by.to_owned(), limits })
    }

    /// Whether `maker` may make it: nobody makes a key that may more than oneself.
    pub(crate) fn is_within(&self, maker: &Principal) -> bool {
        maker.role.covers(self.role) && self.scopes.within(maker.scopes)
    }
}

/// What a name for people must be.
pub(crate) const NAME_RULE: &str = "must have 1 to 100 characters, none of them a control character";

/// `text` as a name for people; `None` where it can't be one.
pub(crate) fn name_for_people(text: &str) -> Option<String> {
    let name = text.trim();
    let fits = !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.chars().any(char::is_control);
    fits.then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use vx11_contracts::identity::Scope;

    use super::*;

    fn read(change: impl FnOnce(&mut NewKey)) -> Result<KeyTerms, &'static str> {
        let mut asked = NewKey {
            name: " ci ".to_owned(),
            role: Role::Operator,
            scopes: vec![Scope::Agent],
            expires_at: Some("2027-01-01T00:00:00Z".to_owned()),
            org: None,
            limits: None,
        };
        change(&mut asked);
        let now = "2026-11-22T00:00:00Z".parse().expect("a time");
        KeyTerms::read(&asked, "ann", now).map_err(|unfit| unfit.field)
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let terms = read(|_| {}).expect("fits");
        assert_eq!((terms.name.as_str(), terms.created_by.as_str()), ("ci", "ann"));
        assert_eq!(read(|asked| asked.name = " ".to_owned()).expect_err("blank"), "name");
        assert_eq!(read(|asked| asked.name = "x".repeat(101)).expect_err("long"), "name");
        assert_eq!(read(|asked| asked.name = "a\nb".to_owned()).expect_err("two lines"), "name");
        assert_eq!(read(|asked| asked.scopes.clear()).expect_err("none"), "scopes");
        assert_eq!(read(|asked| asked.expires_at = Some("soon".to_owned())).expect_err("no time"), "expires_at");
        let past = Some("2026-11-22T00:00:00Z".to_owned());
        assert_eq!(read(|asked| asked.expires_at = past).expect_err("over"), "expires_at");
    }

    #[test]
    fn limits_that_limit_nothing_are_none() {
        let gateway = |limits| read(|asked| (asked.scopes, asked.limits) = (vec![Scope::Gateway], Some(limits)));
        assert_eq!(gateway(KeyLimits::default()).expect("fits").limits, None);
        let rpm = KeyLimits { requests_per_minute: Some(2), ..KeyLimits::default() };
        assert_eq!(gateway(rpm.clone()).expect("fits").limits, Some(rpm.clone()));
        assert_eq!(read(|asked| asked.limits = Some(rpm)).expect_err("no gateway"), "limits");
    }

    #[test]
    fn nobody_makes_a_key_that_may_more_than_oneself() {
        let terms = read(|_| {}).expect("fits");
        let maker = |role, scopes: &[Scope]| Principal {
            role,
            scopes: scopes.iter().copied().collect(),
            ..Principal::service()
        };
        assert!(terms.is_within(&maker(Role::Operator, &[Scope::Agent, Scope::Admin])));
        assert!(!terms.is_within(&maker(Role::Viewer, &Scope::ALL)));
        assert!(!terms.is_within(&maker(Role::Admin, &[Scope::Admin])));
    }
}
