//! Stopping in order: not ready, drain, flush, exit.

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Tells every part of a service that it is to stop. Clones are handles to the same signal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// A signal that has not been given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal. Giving it twice does no harm.
    pub fn begin(&self) {
        self.0.cancel();
    }

    /// Whether the signal was given.
    pub fn has_begun(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits for the signal.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.0.cancelled()
    }
}

/// Waits for SIGTERM or SIGINT and answers with the signal's name. SIGHUP ends nothing meanwhile: who sends it wants
/// something read anew, and a service that can do so listens for it itself.
///
/// # Errors
/// When the process cannot listen for signals.
pub async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok("SIGTERM"),
            _ = interrupt.recv() => return Ok("SIGINT"),
            _ = hangup.recv() => tracing::info!("SIGHUP: nothing is read anew but the switch's file, where it has one"),
        }
    }
}
