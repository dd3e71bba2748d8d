//! How far the gateway relies on what the operator said of API keys and access tokens.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;

/// The longest that the operator's word may be believed.
const LONGEST_BELIEF: Duration = Duration::from_secs(60);

/// The longest that it may be believed while the operator is away: a revoked key would be good for as long.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// Callers of `/v1` with an API key or an access token of the operator's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitiesConfig {
    /// How long the operator's word is believed, from when it was asked: so long may a key still be used that was
    /// revoked. Default 4 s.
    #[serde(with = "humantime_serde")]
    pub believed_for: Duration,
    /// How long it is believed while the operator does not answer. Default 15 m.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

impl Default for IdentitiesConfig {
    fn default() -> Self {
        Self { believed_for: Duration::from_secs(4), grace: Duration::from_secs(15 * 60) }
    }
}

impl IdentitiesConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.believed_for.is_zero() || self.believed_for > LONGEST_BELIEF {
            let problem = "must be longer than zero, and 1m at most";
            return Err(ConfigError::unusable("switch.identities.believed_for", problem));
        }
        if self.grace > LONGEST_GRACE {
            return Err(ConfigError::unusable("switch.identities.grace", "must be 1d at most"));
        }
        Ok(())
    }
}
