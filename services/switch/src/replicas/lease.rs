//! The right to make a half-open breaker's probe, which one replica has at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::runtime::Handle;

use super::word::breaker_field;
use super::{HEARING, LONGEST_LEASE, Replicas, script};
use crate::providers::Provider;

/// A probe that this replica makes. Where it comes to nothing, because its caller has left, another one may make it at
/// once; where it told something, the others hear of that first.
#[derive(Debug)]
pub(crate) struct Lease {
    replicas: Arc<Replicas>,
    name: String,
    /// Tells it from others of this replica's.
    number: String,
    is_over: bool,
}

impl Replicas {
    /// Asks to make the probe of a half-open breaker. `None`: there is nobody to ask.
    ///
    /// # Errors
    /// When another replica makes one; this one may ask again after that time.
    pub(crate) async fn probe(self: &Arc<Self>, provider: &Provider, model: &str) -> Result<Option<Lease>, Duration> {
        let lease_for = provider.limits.probe().saturating_add(HEARING).min(LONGEST_LEASE);
        if self.redis.is_lost() {
            return Ok(None);
        }
        let name = script::lease(&breaker_field(provider, model));
        let number = format!("{:x}", self.probes.fetch_add(1, Ordering::Relaxed));
        let arguments = vec![self.id.clone(), number.clone(), lease_for.as_millis().to_string()];
        // From now on it may be this one's, though the answer is not waited for.
        let mut lease = Lease { replicas: self.clone(), name: name.clone(), number, is_over: false };
        let left_ms: Option<i64> = self.redis.run(&self.lease, vec![name], arguments).await.ok();
        match left_ms.and_then(|left| u64::try_from(left).ok()) {
            Some(left_ms @ 1..) => {
                lease.is_over = true;
                Err(Duration::from_millis(left_ms).min(LONGEST_LEASE))
            }
            _ => Ok(Some(lease)),
        }
    }
}

impl Lease {
    /// The probe has shown how the provider is.
    pub(crate) fn told(mut self) {
        self.is_over = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // A process that ends has no runtime any more; its lease ends by itself.
        let Some(runtime) = Handle::try_current().ok().filter(|_| !self.is_over) else { return };
        let (replicas, name) = (self.replicas.clone(), std::mem::take(&mut self.name));
        let arguments = vec![replicas.id.clone(), std::mem::take(&mut self.number)];
        runtime.spawn(async move {
            let _ = replicas.redis.run::<i64>(&replicas.release, vec![name], arguments).await;
        });
    }
}
