//! The driver with a limit on every wait for it.

use std::sync::Arc;
use std::time::Duration;

use super::driver::{DriverError, PowerDriver, ServiceState};

/// Longest wait for the state of a service: chat asks for it, and must answer in time.
const STATE_LIMIT: Duration = Duration::from_secs(1);

pub(super) struct Bounded {
    driver: Arc<dyn PowerDriver>,
    limit: Duration,
}

impl Bounded {
    pub(super) fn new(driver: Arc<dyn PowerDriver>, limit: Duration) -> Self {
        Self { driver, limit }
    }

    pub(super) fn name(&self) -> &'static str {
        self.driver.name()
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.driver.is_dry_run()
    }

    pub(super) fn services(&self) -> &'static [&'static str] {
        self.driver.services()
    }

    pub(super) async fn start(&self, service: &str) -> Result<(), DriverError> {
        self.bound("start", self.driver.start(service)).await
    }

    pub(super) async fn stop(&self, service: &str) -> Result<(), DriverError> {
        self.bound("stop", self.driver.stop(service)).await
    }

    /// Unknown, too, when the driver does not tell in time.
    pub(super) async fn state(&self, service: &str) -> ServiceState {
        match tokio::time::timeout(STATE_LIMIT, self.driver.state(service)).await {
            Ok(Ok(state)) => state,
            Ok(Err(_)) | Err(_) => ServiceState::Unknown,
        }
    }

    async fn bound(&self, what: &str, call: impl Future<Output = Result<(), DriverError>>) -> Result<(), DriverError> {
        match tokio::time::timeout(self.limit, call).await {
            Ok(done) => done,
            Err(_) => Err(DriverError(format!("it did not {what} within {} ms", self.limit.as_millis()))),
        }
    }
}
