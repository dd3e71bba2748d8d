//! `[tentaculo.replicas]` and `[tentaculo.canary]`: several addresses of one service, and what is known of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use url::Url;
use vx11_chassis::config::ConfigError;

use crate::upstream::Name;

/// Something of each service behind the edge.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct PerService<T> {
    /// The API for people.
    pub operator: T,
    /// The orchestrator.
    pub madre: T,
    /// The gateway.
    pub switch: T,
}

impl<T> PerService<T> {
    pub(crate) fn of(&self, name: Name) -> &T {
        match name {
            Name::Operator => &self.operator,
            Name::Madre => &self.madre,
            Name::Switch => &self.switch,
        }
    }
}

/// One replica; all that a name resolves to where the address has one.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReplicaConfig {
    /// Its address.
    pub url: Url,
    /// Where it is.
    #[serde(default)]
    pub zone: Option<String>,
    /// Whether it is for the canary's share of sessions.
    #[serde(default)]
    pub canary: bool,
}

/// The replicas of a service, and the share of its sessions that its canary gets.
pub(super) fn check(name: Name, replicas: &[ReplicaConfig], canary_percent: u8) -> Result<(), ConfigError> {
    let service = name.as_str();
    let refuse = |problem: String| Err(ConfigError::unusable(format!("tentaculo.replicas.{service}"), problem));
    let mut known = BTreeSet::new();
    for ReplicaConfig { url, .. } in replicas {
        if url.scheme() != "http" || !url.has_host() {
            return refuse(format!("`{url}` is no address that begins with http://"));
        }
        if url.path() != "/" || url.query().is_some() || !url.username().is_empty() || url.password().is_some() {
            return refuse("an address of a replica is http://host:port and nothing else".to_owned());
        }
        if !known.insert(url) {
            return refuse(format!("`{url}` is there twice"));
        }
    }
    let refuse = |problem: &str| Err(ConfigError::unusable(format!("tentaculo.canary.{service}"), problem));
    match canary_percent {
        101.. => refuse("must be a percentage, 0 to 100"),
        1.. if !replicas.iter().any(|replica| replica.canary) => {
            refuse("there is no canary: none of the service's replicas has `canary = true`")
        }
        _ => Ok(()),
    }
}
