//! What a token or a key is for: the part of its holder's permissions that it carries.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

/// One purpose of a key. A key carries those that it was made with, and within them what its role may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Scope {
    /// Call the gateway's `/v1`, within the key's budgets.
    Gateway,
    /// Chat, and read and continue one's own sessions.
    Chat,
    /// Read what the organisation has.
    Read,
    /// What an agent does: open interventions, wait for them, redeem and withdraw them, report its work.
    ///
    /// It can't decide them: an agent whose key leaks, or that is talked into it, must not approve itself.
    Agent,
    /// Decide interventions, and keep work going.
    Pilot,
    /// Change the organisation and what it runs.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 6] = [Self::Gateway, Self::Chat, Self::Read, Self::Agent, Self::Pilot, Self::Admin];

    /// The scope as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Chat => "chat",
            Self::Read => "read",
            Self::Agent => "agent",
            Self::Pilot => "pilot",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of scopes; on the wire, their names.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Scopes(u8);

impl Scopes {
    /// No scope: nothing is permitted.
    pub const NONE: Self = Self(0);
    /// Every scope: the role alone decides, as for a person who has logged in.
    pub const ALL: Self = Self((1 << Scope::ALL.len()) - 1);

    /// Whether `scope` is one of them.
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// Whether each of them is one of `others`: nobody makes a key that may more than oneself.
    pub const fn within(self, others: Self) -> bool {
        self.0 & !others.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// Those named in `text`, apart by spaces as in OAuth. Names that nobody knows grant nothing: an older service
    /// meets a newer one's token during an upgrade.
    pub fn parse(text: &str) -> Self {
        text.split_ascii_whitespace().filter_map(Scope::from_name).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, scope) in self.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { " " }, scope.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scopes({self})")
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Vec::<Scope>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_written_as_they_are_read() {
        let scopes: Scopes = [Scope::Agent, Scope::Gateway].into_iter().collect();
        assert_eq!(scopes.to_string(), "gateway agent");
        assert_eq!(Scopes::parse("agent  gateway unheard-of"), scopes);
        assert_eq!(serde_json::to_value(scopes).expect("serialises"), serde_json::json!(["gateway", "agent"]));
        assert_eq!(serde_json::from_str::<Scopes>(r#"["agent","gateway"]"#).expect("reads"), scopes);
        serde_json::from_str::<Scopes>(r#"["everything"]"#).expect_err("a misspelt scope is refused");
        assert_eq!(Scopes::parse(""), Scopes::NONE);
        assert_eq!(Scopes::ALL.iter().count(), Scope::ALL.len());
    }

    #[test]
    fn a_set_is_within_another_that_has_all_of_it() {
        let agent: Scopes = [Scope::Agent].into_iter().collect();
        assert!(agent.within(Scopes::ALL) && Scopes::NONE.within(agent) && agent.within(agent));
        assert!(!Scopes::ALL.within(agent));
        assert_eq!(Scopes::ALL.and(agent), agent);
    }
}
