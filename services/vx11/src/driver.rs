//! madre's hand on the other services when they are tasks of this process.

use std::sync::Arc;

use async_trait::async_trait;
use vx11_madre::{DriverError, PowerDriver, ServiceState};

use crate::stack::Unit;

/// Starts and stops the units of this process. madre is not among them: it cannot stop itself.
pub(crate) struct InProcessDriver {
    units: [Arc<Unit>; 4],
}

impl InProcessDriver {
    pub(crate) fn new(units: [Arc<Unit>; 4]) -> Self {
        Self { units }
    }

    fn unit(&self, service: &str) -> Result<&Unit, DriverError> {
        let found = self.units.iter().find(|unit| unit.name == service);
        found
            .map(|unit| &**unit)
            .ok_or_else(|| DriverError(format!("`{service}` cannot be started or stopped from here")))
    }
}

#[async_trait]
impl PowerDriver for InProcessDriver {
    fn name(&self) -> &'static str {
        "in_process"
    }

    fn services(&self) -> &'static [&'static str] {
        &["tentaculo", "operator", "switch", "mock-provider"]
    }

    async fn start(&self, service: &str) -> Result<(), DriverError> {
        self.unit(service)?.start().await.map_err(|error| DriverError(format!("{error:#}")))
    }

    async fn stop(&self, service: &str) -> Result<(), DriverError> {
        self.unit(service)?.stop().await.map_err(|error| DriverError(format!("{error:#}")))
    }

    async fn state(&self, service: &str) -> Result<ServiceState, DriverError> {
        Ok(match self.unit(service)?.is_running().await {
            true => ServiceState::Running,
            false => ServiceState::Stopped,
        })
    }
}
