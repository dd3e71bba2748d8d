//! Connections that are shared by blocking work, with a bound on each wait.

use std::sync::Arc;
use std::time::Duration;

use diesel::r2d2::{self, ManageConnection, NopErrorHandler};
use tokio::sync::Semaphore;

use crate::StoreError;
use crate::bounded::bounded;

/// At most so many connections. A clone is the same pool.
pub(crate) struct Pool<M: ManageConnection> {
    connections: r2d2::Pool<M>,
    /// One for each connection, so that a database that hangs cannot fill the blocking pool with waiting threads.
    slots: Arc<Semaphore>,
    wait: Duration,
    limit: Duration,
}

impl<M: ManageConnection> Pool<M> {
    /// Connections are opened when they are wanted: `wait` is how long for one, `limit` how long for what it is used for.
    pub(crate) fn new(manager: M, size: u32, wait: Duration, limit: Duration) -> Self {
        let size = size.max(1);
        let connections = r2d2::Pool::builder()
            .max_size(size)
            .min_idle(Some(0))
            .max_lifetime(None)
            .connection_timeout(wait)
            // A failed connection is reported by the query that wanted it.
            .error_handler(Box::new(NopErrorHandler))
            .build_unchecked(manager);
        Self { connections, slots: Arc::new(Semaphore::new(size as usize)), wait, limit }
    }

    /// Runs `work` on tokio's blocking pool; on [`StoreError::Timeout`] it goes on and may take effect.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut M::Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connections = self.connections.clone();
        let on_one = move || {
            let mut connection = connections.get().map_err(|error| StoreError::Busy(error.to_string()))?;
            work(&mut connection)
        };
        bounded(&self.slots, self.wait, self.limit, on_one).await
    }
}

impl<M: ManageConnection> Clone for Pool<M> {
    fn clone(&self) -> Self {
        let Self { connections, slots, wait, limit } = self;
        Self { connections: connections.clone(), slots: slots.clone(), wait: *wait, limit: *limit }
    }
}
