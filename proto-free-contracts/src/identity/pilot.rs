//! People, as those see them who may.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OrgId, Role};

/// Somebody who has logged in, or may with a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pilot {
    /// Who acts, in histories and the audit log: `github:octocat`.
    pub pilot_id: String,
    /// Whose pilot it is.
    pub org: OrgId,
    /// For people.
    pub name: String,
    /// The address for mail, where the provider vouches for one.
    pub email: Option<String>,
    /// How much it may.
    pub role: Role,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// When it last logged in.
    pub last_login: Option<String>,
    /// The provider that it logs in at; absent for who has a password here.
    pub oauth_provider: Option<String>,
    /// Its id there, which stays when its name changes.
    pub oauth_id: Option<String>,
    /// Since when it is shut out.
    pub disabled_at: Option<String>,
}

/// `PATCH /operator/api/pilots/{id}`. What is absent stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PilotChange {
    /// How much it may from now on.
    pub role: Option<Role>,
    /// `true` shuts it out and ends its sessions.
    pub disabled: Option<bool>,
}
