//! madre's configuration section.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;
use vx11_chassis::process::Section;
use vx11_contracts::power::PowerMode;

/// `[madre]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MadreConfig {
    /// Where to listen. Default `127.0.0.1:8001`.
    pub bind: SocketAddr,
    /// How long a plan waits for its confirmation. Default 15 min.
    #[serde(with = "humantime_serde")]
    pub confirm_ttl: Duration,
    /// The mode while no window is open and the policy `solo_madre` is not applied. Default `solo_madre`.
    pub power_mode: PowerMode,
    /// Longest wait for the driver to start or stop one service. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub driver_timeout: Duration,
    /// Longest wait for another service's upkeep of its store. Default 2 min.
    #[serde(with = "humantime_serde")]
    pub maintenance_timeout: Duration,
}

impl Default for MadreConfig {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 8001).into(),
            confirm_ttl: Duration::from_secs(15 * 60),
            power_mode: PowerMode::default(),
            driver_timeout: Duration::from_secs(10),
            maintenance_timeout: Duration::from_secs(120),
        }
    }
}

impl Section for MadreConfig {
    const NAME: &'static str = "madre";

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.power_mode == PowerMode::Windowed {
            return Err(ConfigError::unusable("madre.power_mode", "`windowed` is reached by opening a window"));
        }
        let day = Duration::from_secs(24 * 3600);
        let limits = [
            ("madre.confirm_ttl", self.confirm_ttl),
            ("madre.driver_timeout", self.driver_timeout),
            ("madre.maintenance_timeout", self.maintenance_timeout),
        ];
        match limits.iter().find(|(_, limit)| limit.is_zero() || *limit > day) {
            Some((field, _)) => Err(ConfigError::unusable(*field, "must be more than nothing and at most a day")),
            None => Ok(()),
        }
    }
}
