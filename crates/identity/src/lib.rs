//! Who calls: access tokens, API keys, refresh tokens, passwords, login state, and the audit log's hash chain.
//!
//! Everything here is a pure rule on plain data: no database, no network, and no clock but the time that a function is
//! given. Rows are the store's, routes are the services'; roles, organisations, scopes and permissions cross processes
//! and stand in `vx11_contracts::identity`.
//!
//! Secrets are wrapped so that they can't be printed, and an error never says which part of a secret was wrong.

pub mod access_token;
pub mod api_key;
pub mod audit_chain;
mod base62;
pub mod id_token;
pub mod login_state;
pub mod login_throttle;
pub mod password;
pub mod pkce;
pub mod refresh_token;
mod ring_jwt;
pub mod seal;
mod sha256;
pub mod signing_keys;
pub mod stored_key;

pub use access_token::{AccessTokens, Claimed, Grant, TokenError};
pub use api_key::{ApiKeyTerms, NewApiKey, PresentedKey};
pub use id_token::{IdToken, IdTokenError, ProviderKeys};
pub use login_state::LoginState;
pub use login_throttle::LoginThrottle;
pub use password::Passwords;
pub use refresh_token::{NewRefreshToken, RefreshRow, RefreshVerdict};
pub use seal::Sealer;
pub use sha256::Sha256;
pub use signing_keys::SigningKeys;
pub use stored_key::{KeyError, KeyKind, StoredKey};
