//! What every service says about itself on `/health` and `/ready`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /health`: the process is alive. It never depends on another service or on the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: String,
    /// The service, such as `operator`.
    pub module: String,
    /// Its version.
    pub version: String,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

/// `GET /ready`: 200 when the service can do its main job, else 503.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// `ready`, `degraded` (serving, with something missing) or `not_ready`.
    pub status: ReadyStatus,
    /// The service, such as `operator`.
    pub module: String,
    /// Each dependency by name.
    pub dependencies: BTreeMap<String, DependencyState>,
    /// RFC 3339 UTC.
    pub timestamp: String,
}

/// Whether traffic should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReadyStatus {
    /// Everything works.
    Ready,
    /// Requests are served, with something missing.
    Degraded,
    /// Starting or stopping; send traffic elsewhere.
    NotReady,
}

/// One dependency as its user sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DependencyState {
    /// How it is.
    pub status: Level,
    /// Why, when it is not up.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

impl DependencyState {
    /// Works.
    pub fn up() -> Self {
        Self { status: Level::Up, reason: None }
    }

    /// Works in part.
    pub fn degraded(reason: impl Into<String>) -> Self {
        Self { status: Level::Degraded, reason: Some(reason.into()) }
    }

    /// Does not work.
    pub fn down(reason: impl Into<String>) -> Self {
        Self { status: Level::Down, reason: Some(reason.into()) }
    }
}

/// How well something works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Works.
    Up,
    /// Works in part.
    Degraded,
    /// Does not work.
    Down,
}

impl Level {
    /// The level as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Degraded => "degraded",
            Self::Down => "down",
        }
    }
}
