//! How much a provider is asked, and when it is not asked any more.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_resilience::{AdmissionConfig, BreakerConfig, FailureRate};

/// The circuit breaker of each model at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerLimits {
    /// Failures in a row that open it. Default 3.
    pub failure_threshold: u32,
    /// The pause before it is tried again. Default 30 s.
    #[serde(with = "humantime_serde")]
    pub open_for: Duration,
    /// The share of failures that opens it too; absent: only failures in a row do.
    pub failure_rate: Option<FailureRate>,
}

/// How many calls a provider gets at a time; the number adapts to what it bears.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConcurrencyConfig {
    /// To begin with. Default 100.
    pub initial: u32,
    /// The fewest it comes down to. Default 4.
    pub min: u32,
    /// The most it grows to. Default 1000.
    pub max: u32,
    /// Calls that wait for a place. Default 1000.
    pub queue: usize,
    /// Longest wait for a place. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub queue_timeout: Duration,
}

impl Default for ConcurrencyConfig {
    fn default() -> Self {
        let AdmissionConfig { initial, min, max, queue } = AdmissionConfig::default();
        Self { initial, min, max, queue, queue_timeout: Duration::from_secs(5) }
    }
}

impl From<ConcurrencyConfig> for AdmissionConfig {
    fn from(config: ConcurrencyConfig) -> Self {
        let ConcurrencyConfig { initial, min, max, queue, .. } = config;
        Self { initial, min, max, queue }
    }
}

impl Default for BreakerLimits {
    fn default() -> Self {
        Self { failure_threshold: 3, open_for: Duration::from_secs(30), failure_rate: None }
    }
}

impl From<BreakerLimits> for BreakerConfig {
    fn from(limits: BreakerLimits) -> Self {
        let BreakerLimits { failure_threshold, open_for, failure_rate } = limits;
        Self { enabled: true, failure_threshold, open_for, failure_rate }
    }
}
