//! The id of an organisation: the tenant that every row belongs to.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An organisation's id: 1 to 63 lower-case letters, digits and single hyphens inside, as in a host name.
///
/// Nothing else can be one, so it may stand in an address, a log line, a metric and a PostgreSQL setting as it is.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", min_length = 1, max_length = 63, example = "acme")]
pub struct OrgId(Arc<str>);

impl OrgId {
    /// The organisation that an installation begins with. Its ADMINs keep the platform: they make organisations, and
    /// they alone see reports across tenants.
    pub const PLATFORM: &'static str = "default";
    /// Most characters of an id.
    pub const MAX_CHARS: usize = 63;

    /// The organisation that an installation begins with.
    pub fn platform() -> Self {
        static PLATFORM: LazyLock<OrgId> = LazyLock::new(|| OrgId(OrgId::PLATFORM.into()));
        PLATFORM.clone()
    }

    /// Whether its ADMINs keep the platform.
    pub fn is_platform(&self) -> bool {
        &*self.0 == Self::PLATFORM
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The platform's: what nobody says whose it is, no other organisation sees.
impl Default for OrgId {
    fn default() -> Self {
        Self::platform()
    }
}

impl fmt::Debug for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OrgId({})", self.0)
    }
}

impl fmt::Display for OrgId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no organisation's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an organisation's id is 1 to 63 lower-case letters, digits and single hyphens between them")]
pub struct BadOrgId;

impl FromStr for OrgId {
    type Err = BadOrgId;

    fn from_str(text: &str) -> Result<Self, BadOrgId> {
        let is_part = |part: &str| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        };
        if text.len() > Self::MAX_CHARS || !text.split('-').all(is_part) {
            return Err(BadOrgId);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for OrgId {
    type Error = BadOrgId;

    fn try_from(text: String) -> Result<Self, BadOrgId> {
        text.parse()
    }
}

impl From<OrgId> for String {
    fn from(id: OrgId) -> Self {
        id.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slugs_are_ids() {
        for text in ["a", "acme", "acme-2", "0", &"a".repeat(63)] {
            assert_eq!(text.parse::<OrgId>().expect("an id").as_str(), text);
        }
        let wrong = ["", "-", "a-", "-a", "a--b", "Acme", "a b", "a/b", "ä", "a'b", "a\0", &"a".repeat(64)];
        for text in wrong {
            assert_eq!(text.parse::<OrgId>(), Err(BadOrgId), "{text:?}");
            serde_json::from_value::<OrgId>(text.into()).expect_err("nor from JSON");
        }
    }
}
