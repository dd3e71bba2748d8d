//! `[mock_provider]`

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use vx11_chassis::config::ConfigError;
use vx11_chassis::process::Section;

use crate::domain::fault::FaultPlan;

/// The mock provider's section.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MockProviderConfig {
    /// Where to listen.
    pub bind: SocketAddr,
    /// The key that callers of `/v1` must present; absent: none.
    #[serde(skip_serializing)]
    pub api_key: Option<SecretString>,
    /// Whether `/admin` is served.
    pub admin: bool,
    /// Requests that the log remembers.
    pub log_capacity: usize,
    /// Faults of every request that asks for none itself.
    pub faults: String,
}

impl Default for MockProviderConfig {
    fn default() -> Self {
        Self {
            bind: (Ipv4Addr::LOCALHOST, 8003).into(),
            api_key: None,
            admin: true,
            log_capacity: 1000,
            faults: String::new(),
        }
    }
}

impl Section for MockProviderConfig {
    const NAME: &'static str = "mock_provider";
    const NEEDS_TOKEN: bool = false;

    fn bind(&self) -> SocketAddr {
        self.bind
    }

    fn check(&self) -> Result<(), ConfigError> {
        let faults: Result<FaultPlan, _> = self.faults.parse();
        faults.map(drop).map_err(|error| ConfigError::unusable("mock_provider.faults", error.to_string()))
    }
}
