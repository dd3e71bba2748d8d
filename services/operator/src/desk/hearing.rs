//! What other replicas did: who listens or waits here is told as if it had been done here. It was written and counted, and
//! is in the trail, where it was done.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use vx11_contracts::identity::OrgId;

use super::Desk;
use crate::domain::intervention::Transition;
use crate::hub::News;

/// Longest wait for what is read of the requests that others changed.
const READ: Duration = Duration::from_secs(2);

impl Desk {
    /// Tells of requests that something happened to, in this order, as they are now. Nothing is read for nobody.
    pub(crate) async fn hear(&self, happened: Vec<(OrgId, String, Vec<Transition>)>) {
        let mut wanted: HashMap<OrgId, Vec<String>> = HashMap::new();
        for (org, id, _) in &happened {
            if self.hub.is_heard(org.as_str()) || self.waiters.is_waited_for(org, id) {
                wanted.entry(org.clone()).or_default().push(id.clone());
            }
        }
        if wanted.is_empty() {
            return;
        }
        let orgs: Vec<OrgId> = wanted.keys().cloned().collect();
        let reading = self.control.requests_among(wanted.into_iter().collect());
        let Ok(Ok(found)) = tokio::time::timeout(READ, reading).await else {
            // Who waits is told by the next look.
            orgs.iter().for_each(|org| self.hub.end(org.as_str()));
            return;
        };
        let found: HashMap<_, _> =
            found.iter().map(|request| ((&*request.org_id, &*request.request_id), request)).collect();
        for (org, id, transitions) in happened {
            let Some(request) = found.get(&(org.as_str(), &*id)) else { continue };
            self.waiters.tell(request);
            self.hub.tell(org.as_str(), || Arc::new(News { request: (*request).clone(), transitions }));
        }
    }

    /// Something was missed, and nobody knows what: who listens reads the lists again.
    pub(crate) fn missed(&self) {
        self.hub.end_all();
        self.unit_hub.end_all();
    }
}
