//! The replicas of one service: where they are, which changes as names lead elsewhere, and connections to them.

mod names;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use url::Url;
use vx11_http_client::{Client, Connector, InvalidAddress};
use vx11_resilience::{Balancer, BreakerConfig, Replica};

use crate::config::ReplicaConfig;

/// Longest wait for a connection to a service.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// How one replica is called.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its address, for people.
    pub(crate) name: String,
    /// Its address, for traces.
    pub(crate) url: Url,
    place: Place,
    /// One for each worker: connections that two of them share cost wake-ups on every request.
    clients: Box<[Client]>,
}

/// Which of the configured addresses a replica is, and which of those that its name leads to; `None` where that is
/// looked up for each connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    entry: usize,
    address: Option<SocketAddr>,
}

/// The replicas of one service.
#[derive(Debug)]
pub(crate) struct Replicas {
    entries: Vec<Entry>,
    zone: Option<String>,
    circuit: BreakerConfig,
    workers: usize,
    balancer: ArcSwap<Balancer<Target>>,
}

/// A configured address.
#[derive(Debug)]
struct Entry {
    config: ReplicaConfig,
    connector: Connector,
}

impl Replicas {
    /// Those of `configured`, for a caller in `zone` with so many workers. Names are not resolved yet.
    pub(crate) fn new(
        configured: &[ReplicaConfig],
        zone: Option<&str>,
        circuit: BreakerConfig,
        workers: usize,
    ) -> Result<Self, InvalidAddress> {
        let entry = |config: &ReplicaConfig| {
            let connector = Connector::plain(&config.url, CONNECT_TIMEOUT)?;
            Ok(Entry { config: config.clone(), connector })
        };
        let entries = configured.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        let balancer = ArcSwap::from_pointee(Balancer::new([], None, circuit));
        let replicas = Self { entries, zone: zone.map(str::to_owned), circuit, workers, balancer };
        replicas.lead_to(&vec![Vec::new(); configured.len()]);
        Ok(replicas)
    }

    /// Those that there are now.
    pub(crate) fn now(&self) -> Guard<Arc<Balancer<Target>>> {
        self.balancer.load()
    }

    /// The entries' names lead to these addresses now; to none where there is one replica, wherever its name leads.
    /// What is known of a replica that stays is kept.
    fn lead_to(&self, addresses: &[Vec<SocketAddr>]) {
        let places = addresses.iter().enumerate().flat_map(|(entry, addresses)| {
            let pinned = addresses.iter().map(move |address| Place { entry, address: Some(*address) });
            let by_name = addresses.is_empty().then_some(Place { entry, address: None });
            pinned.chain(by_name)
        });
        let known = self.now();
        let replica = |place: Place| {
            let known = known.replicas().find(|replica| replica.target.place == place);
            known.cloned().unwrap_or_else(|| Arc::new(self.replica(place)))
        };
        let places: Vec<Place> = places.collect();
        if places.len() == known.len() && known.replicas().all(|replica| places.contains(&replica.target.place)) {
            return;
        }
        let balancer = Balancer::new(places.into_iter().map(replica), self.zone.as_deref(), self.circuit);
        self.balancer.store(Arc::new(balancer));
    }

    fn replica(&self, place: Place) -> Replica<Target> {
        let Entry { config, connector } = &self.entries[place.entry];
        let (mut url, mut connector) = (config.url.clone(), connector.clone());
        if let Some(address) = place.address {
            // An `http` URL takes any address for its host.
            let _ = url.set_ip_host(address.ip());
            connector = connector.to([address]);
        }
        let port = url.port_or_known_default().unwrap_or_default();
        let target = Target {
            name: format!("{}:{port}", url.host_str().unwrap_or_default()),
            url,
            place,
            clients: (0..self.workers.max(1)).map(|_| Client::new(connector.clone())).collect(),
        };
        Replica::new(target, config.zone.clone(), config.canary)
    }
}

impl Target {
    /// What a worker calls it with.
    pub(crate) fn client(&self, worker: usize) -> &Client {
        &self.clients[worker % self.clients.len()]
    }
}

#[cfg(test)]
mod tests {
    use vx11_resilience::Outcome;
    use vx11_testing::Scripted;

    use super::*;

    fn replicas(urls: &[&str]) -> Replicas {
        let config = |url: &&str| ReplicaConfig { url: url.parse().expect("a URL"), zone: None, canary: false };
        let configured: Vec<_> = urls.iter().map(config).collect();
        Replicas::new(&configured, None, BreakerConfig::default(), 2).expect("addresses")
    }

    fn names(replicas: &Replicas) -> Vec<String> {
        replicas.now().replicas().map(|replica| replica.target.name.clone()).collect()
    }

    fn addresses(of: &[&str]) -> Vec<SocketAddr> {
        of.iter().map(|address| address.parse().expect("an address")).collect()
    }

    #[test]
    fn a_name_that_leads_to_several_addresses_is_several_replicas() {
        let replicas = replicas(&["http://switch.example:8002", "http://10.9.9.9"]);
        assert_eq!(names(&replicas), ["switch.example:8002", "10.9.9.9:80"]);
        replicas.lead_to(&[addresses(&["10.0.0.1:8002", "[fd00::2]:8002"]), Vec::new()]);
        assert_eq!(names(&replicas), ["10.0.0.1:8002", "[fd00::2]:8002", "10.9.9.9:80"]);
        replicas.lead_to(&[Vec::new(), Vec::new()]);
        assert_eq!(names(&replicas), ["switch.example:8002", "10.9.9.9:80"]);
    }

    #[tokio::test]
    async fn each_is_called_at_its_own_address_by_the_name_of_all() {
        let service = Scripted::well().await;
        let address = addresses(&[service.url.trim_start_matches("http://")])[0];
        let name = format!("switch.example:{}", address.port());
        let replicas = replicas(&[&format!("http://{name}")]);
        replicas.lead_to(&[vec![address, ([10, 0, 0, 1], address.port()).into()]]);
        let now = replicas.now();
        let replica = now.replicas().find(|replica| replica.target.name == address.to_string()).expect("there");
        let request = replica.target.client(1).request(http::Method::GET, "/x".parse().expect("a path"));
        assert_eq!(request.send().await.expect("an answer").status(), 200);
        assert_eq!(service.header("host"), [name]);
    }

    #[test]
    fn what_is_known_of_a_replica_that_stays_is_kept() {
        let replicas = replicas(&["http://switch.example:8002"]);
        replicas.lead_to(&[addresses(&["10.0.0.1:1", "10.0.0.2:1"])]);
        let choice = replicas.now().choose(false, || 0).expect("one");
        replicas.now().report(&choice, Outcome::Unreachable);
        let name = choice.target().name.clone();

        replicas.lead_to(&[addresses(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"])]);
        let now = replicas.now();
        assert_eq!(now.len(), 3);
        for replica in now.replicas() {
            let is_it = replica.target.name == name;
            assert_eq!((replica.is_ejected(), replica.outstanding() == 1), (is_it, is_it), "{}", replica.target.name);
        }
    }
}
