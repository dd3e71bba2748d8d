//! Whether and for how long answers are kept for who asks the same again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;

/// The response cache. Off unless it is asked for: who samples a model twice may want two answers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// Whether there is one. Default `false`.
    pub enabled: bool,
    /// How long an answer is kept. Default 5 m.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
    /// Most bytes of all answers together, what it takes to find them included. Default 64 MiB.
    pub max_bytes: u64,
    /// Most bytes of one answer; a longer one is not kept. Default 1 MiB.
    pub max_answer_bytes: u32,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            ttl: Duration::from_secs(5 * 60),
            max_bytes: 64 * 1024 * 1024,
            max_answer_bytes: 1024 * 1024,
        }
    }
}

impl CacheConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.ttl.is_zero() {
            return Err(ConfigError::unusable("switch.cache.ttl", "must be longer than zero"));
        }
        if self.max_answer_bytes == 0 || u64::from(self.max_answer_bytes) > self.max_bytes {
            return Err(ConfigError::unusable("switch.cache.max_answer_bytes", "must be 1 to `max_bytes`"));
        }
        Ok(())
    }
}
