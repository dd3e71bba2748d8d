//! Logging in: the ways there are, and what comes of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{OrgId, Role};

/// `GET /operator/api/auth/providers`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginWays {
    /// Where people have an account.
    pub providers: Vec<LoginProvider>,
    /// Whether a name and a password do as well.
    pub passwords: bool,
}

/// Somewhere that people have an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginProvider {
    /// Its name in addresses and pilots' ids.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Where a browser begins.
    pub login: String,
}

/// `POST /operator/api/auth/login`.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordLogin {
    /// Whose pilot; `default` where absent.
    pub org: Option<OrgId>,
    /// Its name, without `local:`.
    #[schema(min_length = 1, max_length = 64)]
    pub login: String,
    /// Its password.
    #[schema(format = Password)]
    pub password: String,
}

/// What a login, or a refresh, is worth: an access token, to be kept in memory. The refresh token is in a cookie.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenGranted {
    /// For `Authorization: Bearer`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Whole seconds that it is good.
    pub expires_in: u64,
    /// The organisation whose rows the pilot sees.
    pub org: OrgId,
    /// Who it is there.
    pub subject: String,
    /// How much it may.
    pub role: Role,
}
