//! A name that leads to several addresses, such as that of a headless Service of Kubernetes, stands for several
//! replicas. It is looked up again and again, because they come and go.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use url::Host;

use super::{Entry, Replicas};

/// How often names are looked up, and the longest wait for where one leads.
const INTERVAL: Duration = Duration::from_secs(5);
/// Most replicas that one name stands for.
const MOST: usize = 64;

impl Replicas {
    /// Keeps to where the names lead, for as long as it is polled.
    pub(crate) async fn follow_names(&self) {
        // One at a time; a resolver that hangs holds up no other name for longer.
        self.follow(async |name| Ok(tokio::time::timeout(INTERVAL, tokio::net::lookup_host(name)).await??.collect()))
            .await;
    }

    async fn follow(&self, look_up: impl AsyncFn((&str, u16)) -> io::Result<Vec<SocketAddr>>) {
        let mut found = vec![Vec::new(); self.entries.len()];
        while self.entries.iter().any(|entry| entry.name().is_some()) {
            for (entry, known) in self.entries.iter().zip(&mut found) {
                let Some(name) = entry.name() else { continue };
                match look_up(name).await {
                    Ok(addresses) if !addresses.is_empty() => *known = replicas_at(&addresses),
                    // A resolver that is away takes no replica with it.
                    Ok(_) => tracing::debug!(name = name.0, "a name leads nowhere"),
                    Err(error) => tracing::debug!(name = name.0, %error, "a name is not known"),
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
    use crate::config::ReplicaConfig;

    fn named(urls: &[&str]) -> Replicas {
        let config = |url: &&str| ReplicaConfig { url: url.parse().expect("a URL"), zone: None, canary: false };
        let configured: Vec<_> = urls.iter().map(config).collect();
        Replicas::new(&configured, None, Default::default(), 1).expect("addresses")
    }

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

    #[tokio::test(start_paused = true)]
    async fn replicas_are_where_the_name_leads_now() {
        let replicas = named(&["http://switch.example:1"]);
        let at = |hosts: &[u8]| hosts.iter().map(|host| SocketAddr::from(([10, 0, 0, *host], 1))).collect::<Vec<_>>();
        let away = || Err(io::ErrorKind::TimedOut.into());
        let answers = [Ok(at(&[1, 2])), away(), Ok(at(&[])), Ok(at(&[2, 3])), Ok(at(&[3]))];
        let answers = std::cell::RefCell::new(answers.into_iter());
        let mut following = std::pin::pin!(replicas.follow(async |name| {
            assert_eq!(name, ("switch.example", 1));
            answers.borrow_mut().next().unwrap_or_else(away)
        }));
        // A moment after each lookup.
        let mut wait = Duration::from_secs(1);
        let (first, next) = (vec!["10.0.0.1:1", "10.0.0.2:1"], vec!["10.0.0.2:1", "10.0.0.3:1"]);
        for expected in [first.clone(), first.clone(), first, next, vec!["switch.example:1"]] {
            tokio::time::timeout(wait, &mut following).await.expect_err("it goes on");
            let now = replicas.now();
            assert_eq!(now.replicas().map(|replica| replica.target.name.as_str()).collect::<Vec<_>>(), expected);
            wait = INTERVAL;
        }
    }

    #[tokio::test]
    async fn addresses_and_this_machine_are_not_looked_up() {
        let replicas = named(&["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1"]);
        // Else it would go on for ever.
        replicas.follow_names().await;
    }
}
