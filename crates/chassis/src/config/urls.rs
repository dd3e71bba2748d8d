//! Where the services are.

use serde::{Deserialize, Serialize};
use url::Url;

/// The address of each service, as the others call it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Urls {
    /// The edge.
    pub tentaculo: Url,
    /// The orchestrator.
    pub madre: Url,
    /// The gateway.
    pub switch: Url,
    /// The mock provider.
    pub mock_provider: Url,
    /// The API for people.
    pub operator: Url,
}

impl Default for Urls {
    fn default() -> Self {
        Self {
            tentaculo: loopback(8000),
            madre: loopback(8001),
            switch: loopback(8002),
            mock_provider: loopback(8003),
            operator: loopback(8011),
        }
    }
}

/// `http://127.0.0.1:{port}/`.
pub fn loopback(port: u16) -> Url {
    let mut url = Url::parse("http://127.0.0.1/").expect("a literal URL");
    // Only URLs without a host refuse a port.
    let _ = url.set_port(Some(port));
    url
}
