//! Organisations and API keys as their administrators see them, and the caller as it sees itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{KeyLimits, KeyLimitsChange, OrgId, Permission, Principal, Role, Scope, key_limits};

/// Most characters of a name that is for people.
pub const MAX_NAME_CHARS: usize = 100;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// For people.
    pub name: String,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// When it was closed; from then on nobody of it is let in.
    pub closed_at: Option<String>,
}

/// `POST /operator/api/orgs`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrg {
    /// Its id, which stays.
    pub id: OrgId,
    /// For people, as a key's name; the id where absent.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    pub name: Option<String>,
}

/// An API key, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ApiKey {
    /// Finds it; not a secret.
    pub id: String,
    /// Whose it is.
    pub org: OrgId,
    /// For people.
    pub name: String,
    /// Who acts with it, in histories and the audit log.
    pub subject: String,
    /// How much it may.
    pub role: Role,
    /// What it is for.
    pub scopes: Vec<Scope>,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// Until when it is good, where that is limited.
    pub expires_at: Option<String>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<String>,
    /// When it was revoked.
    pub revoked_at: Option<String>,
    /// What it may ask of the gateway, and spend there, where that is limited.
    #[serde(default)]
    pub limits: Option<KeyLimits>,
}

/// `POST /operator/api/keys`.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// For people, 1 to 100 characters, not only white space and none of them a control character.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\u0000-\u001f\u007f-\u009f]*[^\u0000-\u0020\u007f-\u00a0][^\u0000-\u001f\u007f-\u009f]*$"
    )]
    pub name: String,
    /// How much it may; not more than who makes it.
    pub role: Role,
    /// What it is for, one at least; none that who makes it lacks.
    #[schema(min_items = 1)]
    pub scopes: Vec<Scope>,
    /// Until when it is good, RFC 3339; without it, until it is revoked.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
    /// Whose it shall be; the caller's own organisation where absent. Another one only for the platform's ADMINs.
    pub org: Option<OrgId>,
    /// What it may ask of the gateway, and spend there; for the scope `gateway` alone. Its organisation's limits hold
    /// as well.
    #[serde(default, deserialize_with = "key_limits::asked")]
    #[schema(value_type = Option<KeyLimitsChange>)]
    pub limits: Option<KeyLimits>,
}

/// A key that was just made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct KeyMade {
    /// What it is.
    pub key: ApiKey,
    /// The key itself; it is shown this once.
    pub secret: String,
}

/// `GET /operator/api/whoami`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Whoami {
    /// The organisation whose rows the caller sees.
    pub org: OrgId,
    /// Who it is there.
    pub subject: String,
    /// How much it may.
    pub role: Role,
    /// What its token or key is for.
    pub scopes: Vec<Scope>,
    /// What it may, by name.
    pub permissions: Vec<Permission>,
}

impl From<&Principal> for Whoami {
    fn from(principal: &Principal) -> Self {
        Self {
            org: principal.org.clone(),
            subject: principal.subject.as_ref().to_owned(),
            role: principal.role,
            scopes: principal.scopes.iter().collect(),
            permissions: principal.permissions().collect(),
        }
    }
}
