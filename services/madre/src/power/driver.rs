//! How services are started and stopped: a trait, because it depends on where VX11 runs.

use async_trait::async_trait;

/// What a driver knows of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// It runs.
    Running,
    /// It does not.
    Stopped,
    /// The driver cannot tell.
    Unknown,
}

impl ServiceState {
    /// The name as it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a driver could not do as asked, in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DriverError(pub String);

/// Starts and stops services.
///
/// Every call is bounded by its caller and may be dropped at any await. Starting what runs and stopping what does not
/// are successes.
#[async_trait]
pub trait PowerDriver: Send + Sync {
    /// Its name, such as `in_process`.
    fn name(&self) -> &'static str;

    /// Whether it only pretends, which answers then say.
    fn is_dry_run(&self) -> bool {
        false
    }

    /// The services it can act on, by name: `switch`, `mock-provider`, `operator`, `tentaculo`, `madre`, or some of
    /// them.
    fn services(&self) -> &'static [&'static str];

    /// Starts a service, and answers when it takes requests.
    ///
    /// # Errors
    /// When it did not start.
    async fn start(&self, service: &str) -> Result<(), DriverError>;

    /// Stops a service, and answers when it has stopped.
    ///
    /// # Errors
    /// When it did not stop.
    async fn stop(&self, service: &str) -> Result<(), DriverError>;

    /// Whether a service runs.
    ///
    /// # Errors
    /// When it cannot be found out.
    async fn state(&self, service: &str) -> Result<ServiceState, DriverError>;
}

/// Does nothing and knows nothing: for a madre that has no hand on the other processes. Its log lines say what would
/// have been done.
#[derive(Clone, Copy, Debug, Default)]
pub struct DryRunDriver;

#[async_trait]
impl PowerDriver for DryRunDriver {
    fn name(&self) -> &'static str {
        "dry_run"
    }

    fn is_dry_run(&self) -> bool {
        true
    }

    fn services(&self) -> &'static [&'static str] {
        &["tentaculo", "operator", "switch", "madre", "mock-provider"]
    }

    async fn start(&self, service: &str) -> Result<(), DriverError> {
        tracing::info!(target_service = service, "dry run: would start");
        Ok(())
    }

    async fn stop(&self, service: &str) -> Result<(), DriverError> {
        tracing::info!(target_service = service, "dry run: would stop");
        Ok(())
    }

    async fn state(&self, _: &str) -> Result<ServiceState, DriverError> {
        Ok(ServiceState::Unknown)
    }
}
