//! What the desk does by itself, each in a loop of its own, so that what is due does not wait for what takes long.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use vx11_chassis::Shutdown;

use super::Desk;

/// How often it is looked for what is due.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// How often what has changed is added to the counts.
const COUNT_EVERY: Duration = Duration::from_secs(1);
/// How often what is archived and old is removed.
const CLEAR_EVERY: Duration = Duration::from_secs(60 * 60);

impl Desk {
    /// Lets time have its way until the service stops.
    pub(crate) async fn sweep(self, shutdown: Shutdown) {
        while !shutdown.has_begun() {
            let swept = self.control.mark_expired(Timestamp::now()).await;
            self.is_reachable.store(swept.is_ok(), Ordering::Relaxed);
            match swept {
                Ok(swept) => {
                    let is_full = swept.is_full;
                    swept.changed.into_iter().for_each(|changed| drop(self.announce(changed)));
                    if is_full {
                        continue;
                    }
                }
                Err(error) => tracing::warn!(%error, "interventions that are due wait for the database"),
            }
            let _ = tokio::time::timeout(SWEEP_EVERY, shutdown.begun()).await;
        }
    }

    /// Adds up what is counted until the service stops.
    pub(crate) async fn count(self, shutdown: Shutdown) {
        while !shutdown.has_begun() {
            if let Err(error) = self.control.fold_counts().await {
                tracing::warn!(%error, "what is counted is not added up");
            }
            let _ = tokio::time::timeout(COUNT_EVERY, shutdown.begun()).await;
        }
    }

    /// Removes what is archived and old until the service stops.
    pub(crate) async fn clear(self, shutdown: Shutdown) {
        while !shutdown.has_begun() {
            if let Err(error) = self.control.clear_archived(self.archive_days, Timestamp::now()).await {
                tracing::warn!(%error, "old interventions cannot be removed");
            }
            if let Err(error) = self.control.clear_units(self.archive_days, Timestamp::now()).await {
                tracing::warn!(%error, "old units cannot be removed");
            }
            let _ = tokio::time::timeout(CLEAR_EVERY, shutdown.begun()).await;
        }
    }
}
