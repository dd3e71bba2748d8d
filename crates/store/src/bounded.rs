//! Blocking work with a bound on how much of it there is at a time, and on how long it is waited for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::StoreError;

/// Runs blocking work once a slot is free. Work that outlives its caller keeps its slot.
pub(crate) async fn bounded<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    slot_timeout: Duration,
    timeout: Duration,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let busy = || StoreError::Busy(format!("all were in use for {} ms", slot_timeout.as_millis()));
    let slot = tokio::time::timeout(slot_timeout, slots.clone().acquire_owned())
        .await
        .map_err(|_| busy())?
        .map_err(|_| busy())?;
    let task = tokio::task::spawn_blocking(move || {
        let result = work();
        drop(slot);
        result
    });
    match tokio::time::timeout(timeout, task).await {
        Ok(joined) => joined.unwrap_or(Err(StoreError::Panicked)),
        Err(_) => Err(StoreError::Timeout(timeout)),
    }
}
