//! Stopping in order: not ready, drain, flush, exit.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// Tells every part of a service that it is to stop. Clones are handles to the same signal.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    signal: CancellationToken,
    /// The same for who looks at every request; the token has a lock.
    has_begun: Arc<AtomicBool>,
}

impl Shutdown {
    /// A signal that has not been given.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives the signal. Giving it twice does no harm.
    pub fn begin(&self) {
        self.has_begun.store(true, Ordering::Release);
        self.signal.cancel();
    }

    /// Whether the signal was given.
    pub fn has_begun(&self) -> bool {
        self.has_begun.load(Ordering::Acquire)
    }

    /// Waits for the signal.
    pub fn begun(&self) -> WaitForCancellationFuture<'_> {
        self.signal.cancelled()
    }
}

/// Waits for SIGTERM, SIGINT or the loss of the terminal, and answers with the signal's name.
///
/// A SIGHUP that somebody sends ends nothing: who sends it wants something read anew, and a service that can do so
/// listens for it itself. The one that comes because the terminal is gone ends the process, or it would live on where
/// nobody sees it. A terminal that is gone is none any longer, and it is gone before the signal comes.
///
/// # Errors
/// When the process cannot listen for signals.
pub async fn signal() -> std::io::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let has_terminal = || std::io::stdin().is_terminal();
    let had_terminal = has_terminal();
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok("SIGTERM"),
            _ = interrupt.recv() => return Ok("SIGINT"),
            _ = hangup.recv() => {
                if had_terminal && !has_terminal() {
                    return Ok("SIGHUP");
                }
                tracing::info!("SIGHUP: nothing is read anew but the switch's file and keys");
            }
        }
    }
}
