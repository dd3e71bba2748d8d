//! What each replica of a service was asked, as of the scrape. Replicas that are gone have no series any more.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, IntGaugeVec, Opts};

use crate::upstream::Upstreams;

pub(super) struct ReplicaMetrics {
    upstreams: Upstreams,
    /// Without series; each scrape fills its own.
    empty: Families,
}

struct Families {
    requests: IntCounterVec,
    ejections: IntCounterVec,
    ejected: IntGaugeVec,
    active: IntGaugeVec,
}

impl Families {
    fn new() -> prometheus::Result<Self> {
        let opts = |name, help| Opts::new(name, help);
        let labels = &["upstream", "replica"];
        Ok(Self {
            requests: IntCounterVec::new(
                opts("vx11_replica_requests_total", "Requests that a replica answered, or failed."),
                &["upstream", "replica", "outcome"],
            )?,
            ejections: IntCounterVec::new(
                opts("vx11_replica_ejections_total", "How often a replica was left alone for a while."),
                labels,
            )?,
            ejected: IntGaugeVec::new(opts("vx11_replica_ejected", "1 while a replica is left alone."), labels)?,
            active: IntGaugeVec::new(
                opts("vx11_replica_requests_active", "Requests under way at a replica, open streams among them."),
                labels,
            )?,
        })
    }

    fn all(&self) -> [&dyn Collector; 4] {
        [&self.requests, &self.ejections, &self.ejected, &self.active]
    }
}

impl ReplicaMetrics {
    pub(super) fn new(upstreams: Upstreams) -> prometheus::Result<Self> {
        Ok(Self { upstreams, empty: Families::new()? })
    }
}

impl Collector for ReplicaMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = Families::new() else { return Vec::new() };
        let Families { requests, ejections, ejected, active } = &families;
        for upstream in self.upstreams.all() {
            let service = upstream.name.as_str();
            for replica in upstream.replicas.now().replicas() {
                let address = replica.target.name.as_str();
                requests.with_label_values(&[service, address, "ok"]).inc_by(replica.successes());
                requests.with_label_values(&[service, address, "failed"]).inc_by(replica.failures());
                ejections.with_label_values(&[service, address]).inc_by(replica.ejections());
                ejected.with_label_values(&[service, address]).set(replica.is_ejected().into());
                active.with_label_values(&[service, address]).set(replica.outstanding().into());
            }
        }
        families.all().into_iter().flat_map(Collector::collect).collect()
    }
}
