//! How often and how soon a target that failed is asked again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;
use vx11_resilience::RetryBudgetConfig;

/// Retries on the same target, before the next one is asked.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetryConfig {
    /// Calls after the first one, 0 to 2. Default 2.
    pub attempts: u32,
    /// The longest pause before the first of them; it doubles with the second. Default 100 ms.
    #[serde(with = "humantime_serde")]
    pub base: Duration,
    /// The longest pause of all, and the longest `Retry-After` that is waited for. Default 2 s.
    #[serde(with = "humantime_serde")]
    pub longest: Duration,
    /// Retries of one provider, for each request to it in the last ten seconds. Default 0.2.
    pub ratio: f64,
    /// Retries a second that are allowed in any case. Default 3.
    pub min_per_second: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        let RetryBudgetConfig { ratio, min_per_second } = RetryBudgetConfig::default();
        Self { attempts: 2, base: Duration::from_millis(100), longest: Duration::from_secs(2), ratio, min_per_second }
    }
}

impl RetryConfig {
    /// The part that bounds the retries of one provider together.
    pub(crate) fn budget(&self) -> RetryBudgetConfig {
        RetryBudgetConfig { ratio: self.ratio, min_per_second: self.min_per_second }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.attempts > 2 {
            return Err(ConfigError::unusable("switch.retries.attempts", "must be 0 to 2"));
        }
        if !(0.0..=1.0).contains(&self.ratio) {
            return Err(ConfigError::unusable("switch.retries.ratio", "must be 0 to 1"));
        }
        Ok(())
    }
}
