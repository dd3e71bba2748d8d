//! A name that leads to several addresses, such as that of a headless Service of Kubernetes, stands for several
//! replicas. It is looked up again and again, because they come and go.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use url::Host;

use super::{Entry, Replicas};

/// How often names are looked up.
const INTERVAL: Duration = Duration::from_secs(5);
/// Most replicas that one name stands for.
const MOST: usize = 64;

impl Replicas {
    /// Keeps to where the names lead, for as long as it is polled.
    pub(crate) async fn follow_names(&self) {
        let mut found = vec![Vec::new(); self.entries.len()];
        while self.entries.iter().any(|entry| entry.name().is_some()) {
            for (entry, known) in self.entries.iter().zip(&mut found) {
                let Some(name) = entry.name() else { continue };
                match look_up(name).await {
                    Ok(addresses) => *known = addresses,
                    // A resolver that is away takes no replica with it.
                    Err(error) => tracing::debug!(name = name.0, %error, "a name leads nowhere"),
                }
            }
            self.lead_to(&found);
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

impl Entry {
    /// What has to be looked up. `localhost` is this machine, however many addresses it has.
    fn name(&self) -> Option<(&str, u16)> {
        match self.config.url.host()? {
            Host::Domain("localhost") | Host::Ipv4(_) | Host::Ipv6(_) => None,
            Host::Domain(name) => Some((name, self.config.url.port_or_known_default()?)),
        }
    }
}

/// One lookup at a time of each name; how long it takes at most the system's resolver says.
async fn look_up(name: (&str, u16)) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<SocketAddr> = tokio::net::lookup_host(name).await?.collect();
    if found.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(replicas_at(&found))
}

/// The addresses of several replicas, in order; none where there is just one. A replica may have an address of each
/// family: those of the resolver's first choice are taken.
fn replicas_at(found: &[SocketAddr]) -> Vec<SocketAddr> {
    let is_preferred = |address: &&SocketAddr| found.first().is_some_and(|first| first.is_ipv4() == address.is_ipv4());
    let addresses: BTreeSet<SocketAddr> = found.iter().filter(is_preferred).copied().collect();
    if addresses.len() < 2 { Vec::new() } else { addresses.into_iter().take(MOST).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicas(found: &[&str]) -> Vec<String> {
        let found: Vec<SocketAddr> = found.iter().map(|address| address.parse().expect("an address")).collect();
        replicas_at(&found).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn several_addresses_of_one_family_are_several_replicas() {
        assert_eq!(replicas(&["10.0.0.2:1", "10.0.0.1:1", "10.0.0.2:1"]), ["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(replicas(&["[fd00::1]:1", "[fd00::2]:1", "10.0.0.1:1"]), ["[fd00::1]:1", "[fd00::2]:1"]);
        for one in [&["10.0.0.1:1"][..], &["[fd00::1]:1", "10.0.0.1:1", "10.0.0.2:1"], &[]] {
            assert_eq!(replicas(one), [""; 0], "{one:?}");
        }
    }

    #[test]
    fn a_name_does_not_stand_for_any_number() {
        let many: Vec<SocketAddr> = (0..=255).map(|n| ([10, 0, 0, n], 1).into()).collect();
        assert_eq!(replicas_at(&many).len(), MOST);
    }

    #[tokio::test]
    async fn addresses_and_this_machine_are_not_looked_up() {
        let config =
            |url: &str| crate::config::ReplicaConfig { url: url.parse().expect("a URL"), zone: None, canary: false };
        let configured = ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"].map(config);
        let replicas = Replicas::new(&configured, None, Default::default(), 1).expect("addresses");
        // Else it would go on for ever.
        replicas.follow_names().await;
    }
}
