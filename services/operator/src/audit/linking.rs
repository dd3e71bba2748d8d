//! Linking what was written into the chains, a moment later. Nobody waits for it.

use std::time::Duration;

use vx11_chassis::Shutdown;

use super::Audit;

/// How often it is looked for what this replica and others wrote. Not with each row: a commit for each is what this
/// is there to save.
const LINK_EVERY: Duration = Duration::from_secs(1);

impl Audit {
    /// Links rows until the service stops.
    pub(crate) async fn run_linking(self, shutdown: Shutdown) {
        while !shutdown.has_begun() {
            let wait = if self.link_once().await { Duration::ZERO } else { LINK_EVERY };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.begun() => {}
            }
        }
    }

    /// Links what there is.
    pub(super) async fn link(&self) {
        while self.link_once().await {}
    }

    /// Links a batch; whether there may be more.
    async fn link_once(&self) -> bool {
        self.control.link_audit().await.unwrap_or_else(|error| {
            tracing::debug!(%error, "what the audit log waits for cannot be read");
            false
        })
    }
}
