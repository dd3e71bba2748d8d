//! What a service asks of the operator: who comes with this key or token (as RFC 7662 asks it).

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{KeyLimits, OrgId, Principal, Role, Scope};

/// `POST /operator/api/introspect`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspect {
    /// The API key or access token, as its bearer presented it.
    pub token: String,
}

/// Who comes with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Introspected {
    /// Whose it is, where it is good; absent where it is nobody's, any more or at all.
    pub caller: Option<IntrospectedCaller>,
    /// Whether it was good once, and has only expired. Of access tokens alone this is told.
    pub expired: bool,
}

/// The bearer of a good key or token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IntrospectedCaller {
    /// The organisation whose rows it sees.
    pub org: OrgId,
    /// Who it is there: a key such as `key:aB3dE5fG`, a pilot such as `github:octocat`.
    pub subject: String,
    /// How much it may.
    pub role: Role,
    /// What its token or key is for.
    pub scopes: Vec<Scope>,
    /// Until when it is good, where that is limited; RFC 3339 UTC.
    pub expires_at: Option<String>,
    /// What its key may ask of the gateway, and spend there, where that is limited.
    #[serde(default)]
    pub limits: Option<KeyLimits>,
}

impl Introspected {
    /// It is nobody's.
    pub const NOBODY: Self = Self { caller: None, expired: false };
    /// It has expired.
    pub const EXPIRED: Self = Self { caller: None, expired: true };
}

impl IntrospectedCaller {
    /// `principal`, by what is good until `expires_at` and within `limits`.
    pub fn new(principal: &Principal, expires_at: Option<String>, limits: Option<KeyLimits>) -> Self {
        Self {
            org: principal.org.clone(),
            subject: principal.subject.as_ref().to_owned(),
            role: principal.role,
            scopes: principal.scopes.iter().collect(),
            expires_at,
            limits,
        }
    }

    /// The principal that the operator has proven.
    pub fn principal(&self) -> Principal {
        Principal {
            org: self.org.clone(),
            subject: self.subject.as_str().into(),
            role: self.role,
            scopes: self.scopes.iter().copied().collect(),
        }
    }
}
