//! Power: which services a policy lets run, and the windows that enable more of them for a while.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What runs when no window is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PowerMode {
    /// Only what chat needs; the default.
    #[default]
    SoloMadre,
    /// A window is open.
    Windowed,
    /// The operative core.
    OperativeCore,
    /// Everything.
    Full,
    /// As little as possible; log tables are kept for 7 days.
    LowPower,
}

impl PowerMode {
    /// The name as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SoloMadre => "solo_madre",
            Self::Windowed => "windowed",
            Self::OperativeCore => "operative_core",
            Self::Full => "full",
            Self::LowPower => "low_power",
        }
    }
}

/// How a window ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowMode {
    /// By itself, after `ttl_sec`.
    #[default]
    Ttl,
    /// Only by being closed.
    Hold,
}

impl WindowMode {
    /// The name as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ttl => "ttl",
            Self::Hold => "hold",
        }
    }
}

/// `POST /madre/power/window/open`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenWindowRequest {
    /// The services to enable, at least one.
    #[schema(min_items = 1)]
    pub services: Vec<String>,
    /// Seconds until the window closes by itself, 1 to 3600; 600 where absent. Not used in mode `hold`.
    #[serde(default = "default_ttl")]
    #[schema(minimum = 1, maximum = 3600)]
    pub ttl_sec: u32,
    /// How the window ends.
    #[serde(default)]
    pub mode: WindowMode,
    /// Why, for the trail.
    #[serde(default)]
    pub reason: String,
}

const fn default_ttl() -> u32 {
    600
}

/// An open window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowOpened {
    /// UUID.
    pub window_id: String,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// When it closes by itself; absent in mode `hold`.
    pub deadline: Option<String>,
    /// What the driver started, in order.
    pub services_started: Vec<String>,
    /// Always `open`.
    pub state: String,
    /// Whole seconds left; absent in mode `hold`.
    pub ttl_remaining_sec: Option<u64>,
}

/// A window that was closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WindowClosed {
    /// UUID.
    pub window_id: String,
    /// RFC 3339 UTC.
    pub closed_at: String,
    /// What the driver stopped, in order.
    pub services_stopped: Vec<String>,
    /// Always `closed`.
    pub state: String,
}

/// `GET /madre/power/state`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PowerState {
    /// The mode in force: `windowed` while a window is open.
    pub mode: PowerMode,
    /// How services are started and stopped: `in_process` or `dry_run`.
    pub driver: String,
    /// The open window.
    pub window: Option<WindowOpened>,
    /// Every service that power can act on.
    pub services: Vec<ServicePower>,
}

/// Whether a service runs, and whether the policy lets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServicePower {
    /// The service.
    pub name: String,
    /// What the driver knows: `running`, `stopped` or `unknown`.
    pub state: String,
    /// Whether mode and window let it run.
    pub allowed: bool,
}

/// `POST /madre/power/service/{name}/{action}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceActionRequest {
    /// `false` (the default) only plans.
    #[serde(default)]
    pub apply: bool,
    /// From `GET /madre/power/token`, at most 60 seconds old, works once; needed to apply.
    #[serde(default)]
    pub power_token: Option<String>,
    /// The confirmation phrase that the plan named; needed to apply.
    #[serde(default)]
    pub confirmation: Option<String>,
    /// Why, for the trail.
    #[serde(default)]
    pub reason: String,
}

/// What was or would be done to a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServiceActionResult {
    /// The service.
    pub service: String,
    /// `start`, `stop` or `restart`.
    pub action: String,
    /// Whether it was done.
    pub applied: bool,
    /// The steps, in words.
    pub plan: Vec<String>,
    /// What to send as `confirmation` to apply this plan.
    pub confirmation_phrase: String,
    /// What the driver said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// `GET /madre/power/token`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PowerToken {
    /// Works once.
    pub power_token: String,
    /// Seconds it stays valid.
    pub ttl_sec: u32,
}

/// `GET` and `POST /madre/power/policy/solo_madre/{status,apply}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PolicyStatus {
    /// Always `solo_madre`.
    pub policy: String,
    /// Whether it is in force.
    pub active: bool,
    /// The mode in force.
    pub mode: PowerMode,
    /// What was stopped by applying it.
    #[serde(default)]
    pub services_stopped: Vec<String>,
}
