//! Power: which services run, by policy, by window, or by a person's word.
//!
//! The store knows what should be; the driver does it. Changes take turns, each is recorded in the trail, and a change
//! that has begun goes to its end even when its caller goes away. Chat never asks here for permission.

mod bounded;
mod driver;
mod error;
mod expiry;
mod policy;
mod service;
mod tokens;
mod windows;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, SemaphorePermit};
use vx11_contracts::power::{PowerMode, PowerState, ServicePower};
use vx11_resilience::{SlidingWindow, SlidingWindowConfig};

pub use driver::{DriverError, DryRunDriver, PowerDriver, ServiceState};
pub(crate) use error::PowerError;
pub(crate) use expiry::run as run_background;

use crate::metrics::Metrics;
use crate::services::{CORE, PROTECTED};
use crate::store::{Store, Window};
use crate::trail::{self, Row};
use bounded::Bounded;
use tokens::PowerTokens;

/// Longest wait for another change of power to end.
const TURN_LIMIT: Duration = Duration::from_secs(5);
/// Service actions of one kind in a minute.
const ACTIONS_PER_MINUTE: u32 = 6;

/// Power over the services. A clone is the same power.
#[derive(Clone)]
pub(crate) struct Power(Arc<Inner>);

struct Inner {
    driver: Bounded,
    store: Store,
    metrics: Metrics,
    /// The mode while no window is open and no policy is applied.
    resting: PowerMode,
    tokens: PowerTokens,
    rate: SlidingWindow,
    /// One change at a time.
    turn: Semaphore,
}

impl Power {
    pub(crate) fn new(
        driver: Arc<dyn PowerDriver>,
        driver_timeout: Duration,
        resting: PowerMode,
        store: Store,
        metrics: Metrics,
    ) -> Self {
        let minute = SlidingWindowConfig { limit: ACTIONS_PER_MINUTE, ..SlidingWindowConfig::default() };
        Self(Arc::new(Inner {
            driver: Bounded::new(driver, driver_timeout),
            store,
            metrics,
            resting,
            tokens: PowerTokens::default(),
            rate: SlidingWindow::new(minute),
            turn: Semaphore::new(1),
        }))
    }

    /// Mode, window, and every service.
    pub(crate) async fn state(&self) -> Result<PowerState, PowerError> {
        let window = self.0.store.open_window().await?;
        let is_applied = self.0.store.is_solo_madre_applied().await?;
        let names = self.0.driver.services();
        let states = join_all(names.iter().map(|name| self.0.driver.state(name))).await;
        let one = |(name, state): (&&str, ServiceState)| ServicePower {
            name: (*name).to_owned(),
            state: state.as_str().to_owned(),
            allowed: is_allowed(name, is_applied, window.as_ref()),
        };
        let services = names.iter().zip(states).map(one).collect();
        let mode = self.mode_with(is_applied, window.is_some());
        let window = window.as_ref().map(windows::opened);
        Ok(PowerState { mode, driver: self.0.driver.name().to_owned(), window, services })
    }

    /// Whether nothing is really started or stopped.
    pub(crate) fn is_dry_run(&self) -> bool {
        self.0.driver.is_dry_run()
    }

    /// The mode in force.
    pub(crate) async fn mode(&self) -> Result<PowerMode, PowerError> {
        let is_open = self.0.store.open_window().await?.is_some();
        Ok(self.mode_with(self.0.store.is_solo_madre_applied().await?, is_open))
    }

    fn mode_with(&self, is_applied: bool, is_open: bool) -> PowerMode {
        match (is_open, is_applied) {
            (true, _) => PowerMode::Windowed,
            (false, true) => PowerMode::SoloMadre,
            (false, false) => self.0.resting,
        }
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, PowerError> {
        let turn = tokio::time::timeout(TURN_LIMIT, self.0.turn.acquire()).await;
        turn.map_err(|_| PowerError::Busy)?.map_err(|_| PowerError::Busy)
    }

    /// The driver's own name of a service.
    fn known(&self, name: &str) -> Result<&'static str, PowerError> {
        let services = self.0.driver.services();
        services.iter().copied().find(|service| *service == name).ok_or_else(|| PowerError::UnknownService {
            service: name.to_owned(),
            known: services.iter().map(|service| (*service).to_owned()).collect(),
        })
    }

    /// Adds to the trail. What was done is done: a store that cannot take the row now gets it later.
    async fn log(&self, row: Row) {
        if let Err(error) = self.0.store.log(row).await {
            tracing::warn!(%error, "a row of the trail is not durable");
        }
    }
}

/// Whether the policy, where it is applied, lets a service run.
fn is_allowed(service: &str, is_applied: bool, window: Option<&Window>) -> bool {
    !is_applied
        || CORE.contains(&service)
        || window.is_some_and(|window| window.services.iter().any(|name| name == service))
}

fn is_protected(service: &str) -> bool {
    PROTECTED.contains(&service)
}

/// The row of the trail for what was done to a service, and the log line.
fn service_action(
    correlation_id: &str,
    action: &str,
    service: &str,
    outcome: &Result<(), PowerError>,
    why: &str,
) -> Row {
    let (status, error) = match outcome {
        Ok(()) => ("ok", None),
        Err(error) => ("error", Some(error.to_string())),
    };
    tracing::info!(action, target_service = service, status, error, "power");
    let notes = serde_json::json!({ "reason": why, "error": error });
    trail::action(correlation_id, &format!("power_{action}"), "power", Some(service), status).with_notes(notes)
}
