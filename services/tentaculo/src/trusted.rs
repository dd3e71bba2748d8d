//! Proxies in front of the edge, and what they say about a client. Nobody else is believed: `X-Forwarded-*` of a
//! client's own making is dropped.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, X_FORWARDED_FOR, X_FORWARDED_HOST, X_FORWARDED_PROTO};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A proxy's address, or a network that all of its addresses are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProxyNetwork(IpNet);

/// What is written is no network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an IP address or a network such as 10.42.0.0/16")]
pub struct NotANetwork(String);

/// The configured proxies. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TrustedProxies(Arc<[IpNet]>);

/// What the service behind the edge learns about the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Forwarded<'r> {
    /// Who passed the request on, the client first.
    pub(crate) chain: String,
    /// The host that the client asked for, where it said so.
    pub(crate) host: Option<&'r str>,
    /// How the client came: `http` or `https`.
    pub(crate) proto: &'static str,
}

impl FromStr for ProxyNetwork {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let read = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse()).ok();
        read.and_then(canonical).map(Self).ok_or_else(|| NotANetwork(text.to_owned()))
    }
}

/// Peers are known by their canonical addresses, so that `::ffff:10.42.0.0/112` is `10.42.0.0/16`. `None` for a network
/// of some IPv4 addresses that reaches beyond them all.
fn canonical(network: IpNet) -> Option<IpNet> {
    match (network, network.addr().to_canonical()) {
        (IpNet::V6(mapped), IpAddr::V4(address)) => {
            IpNet::new(address.into(), mapped.prefix_len().checked_sub(96)?).ok()
        }
        _ => Some(network),
    }
}

impl TryFrom<String> for ProxyNetwork {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<ProxyNetwork> for String {
    fn from(network: ProxyNetwork) -> Self {
        network.0.to_string()
    }
}

impl TrustedProxies {
    pub(crate) fn new(networks: &[ProxyNetwork]) -> Self {
        Self(networks.iter().map(|network| network.0).collect())
    }

    fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The address that is counted: the peer's, or where that is a trusted proxy the last one that no trusted proxy
    /// wrote. `None` for a connection without addresses.
    pub(crate) fn client(&self, http: &HttpRequest) -> Option<IpAddr> {
        Some(network(self.client_of(peer(http)?, http.headers())))
    }

    /// What to tell the service.
    pub(crate) fn forwarded<'r>(&self, http: &'r HttpRequest) -> Option<Forwarded<'r>> {
        Some(self.forwarded_by(peer(http)?, http.headers()))
    }

    fn client_of(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        if !self.has(peer) {
            return peer;
        }
        let written = list(headers, X_FORWARDED_FOR);
        // What stands left of an entry that cannot be read was written by nobody who is known.
        let readable = written.rsplit(',').map_while(|entry| entry.trim().parse::<IpAddr>().ok());
        readable.map(|address| address.to_canonical()).find(|address| !self.has(*address)).unwrap_or(peer)
    }

    fn forwarded_by<'r>(&self, peer: IpAddr, headers: &'r HeaderMap) -> Forwarded<'r> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if !self.has(peer) {
            return Forwarded { chain: written(peer), host: text(HOST), proto: "http" };
        }
        let before = list(headers, X_FORWARDED_FOR);
        let chain = if before.is_empty() { written(peer) } else { format!("{before}, {peer}") };
        let is_https = text(X_FORWARDED_PROTO).is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"));
        let host = text(X_FORWARDED_HOST).or_else(|| text(HOST));
        Forwarded { chain, host, proto: if is_https { "https" } else { "http" } }
    }
}

fn peer(http: &HttpRequest) -> Option<IpAddr> {
    // A socket for both families shows `10.0.0.1` as `::ffff:10.0.0.1`.
    http.peer_addr().map(|address| address.ip().to_canonical())
}

/// As `Display` writes it, which takes twice as long over the four numbers.
fn written(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.octets().map(|number| number.to_string()).join("."),
        IpAddr::V6(address) => address.to_string(),
    }
}

/// The values of a header that is a list, which may be written as several headers.
fn list(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get_all(name).map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>().join(", ")
}

/// An IPv6 client has at least a /64 to pick its addresses from; they count as one.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn trusted() -> TrustedProxies {
        proxies(&["10.0.0.1", "10.0.0.2"])
    }

    fn proxies(networks: &[&str]) -> TrustedProxies {
        let networks: Vec<_> = networks.iter().map(|network| network.parse().expect("a network")).collect();
        TrustedProxies::new(&networks)
    }

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn only_a_trusted_proxy_may_name_the_client() {
        let said = headers(&[("x-forwarded-for", "6.6.6.6, 9.9.9.9, 10.0.0.2")]);
        let client = |peer: &str, said: &HeaderMap| trusted().client_of(address(peer), said);
        assert_eq!(client("8.8.8.8", &said), address("8.8.8.8"));
        assert_eq!(client("10.0.0.1", &said), address("9.9.9.9"));
        assert_eq!(client("10.0.0.1", &HeaderMap::new()), address("10.0.0.1"));
        let several = headers(&[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "9.9.9.9")]);
        assert_eq!(client("10.0.0.1", &several), address("9.9.9.9"));
    }

    #[test]
    fn every_address_of_a_trusted_network_is_a_proxys() {
        let trusted = proxies(&["10.42.0.0/16", "fd00::/8"]);
        let said = headers(&[("x-forwarded-for", "6.6.6.6, 9.9.9.9, fd12::1, 10.42.255.255")]);
        let client = |peer: &str| trusted.client_of(address(peer), &said);
        assert_eq!((client("10.42.7.9"), client("fd00::9")), (address("9.9.9.9"), address("9.9.9.9")));
        assert_eq!((client("10.43.0.1"), client("fe80::1")), (address("10.43.0.1"), address("fe80::1")));
    }

    #[test]
    fn an_ipv4_network_may_be_written_as_an_ipv6_one() {
        for (text, known) in [
            ("::ffff:10.42.0.0/112", "10.42.0.0/16"),
            ("::ffff:10.42.7.9", "10.42.7.9/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(String::from(text.parse::<ProxyNetwork>().expect("a network")), known, "{text}");
        }
        let said = headers(&[("x-forwarded-for", "9.9.9.9")]);
        let client = proxies(&["::ffff:10.42.0.0/112"]).client_of(address("10.42.7.9"), &said);
        assert_eq!(client, address("9.9.9.9"));
        assert!("::ffff:10.42.0.0/90".parse::<ProxyNetwork>().is_err(), "it would match nobody");
    }

    #[test]
    fn an_unreadable_entry_does_not_uncover_what_the_client_wrote_itself() {
        for text in ["6.6.6.6, unknown", "6.6.6.6, 9.9.9.9:1234, 10.0.0.2"] {
            let said = headers(&[("x-forwarded-for", text)]);
            assert_eq!(trusted().client_of(address("10.0.0.1"), &said), address("10.0.0.1"), "{text}");
        }
    }

    #[test]
    fn the_scheme_and_the_host_are_a_trusted_proxys_to_say() {
        let said = headers(&[
            ("host", "edge"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "HTTPS"),
            ("x-forwarded-host", "vx11.example"),
        ]);
        let forwarded =
            |chain: &str, host: &'static str, proto| Forwarded { chain: chain.into(), host: Some(host), proto };
        let by = |peer: &str| trusted().forwarded_by(address(peer), &said);
        assert_eq!(by("8.8.8.8"), forwarded("8.8.8.8", "edge", "http"));
        assert_eq!(by("10.0.0.2"), forwarded("6.6.6.6, 10.0.0.2", "vx11.example", "https"));
    }

    #[test]
    fn an_address_is_written_as_everybody_writes_it() {
        for text in ["0.0.0.0", "9.10.99.100", "127.0.0.1", "255.255.255.255", "::1", "2001:db8:1:2:3:4:5:6"] {
            assert_eq!(written(address(text)), text);
        }
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        assert_eq!(network(address("2001:db8:1:2:3:4:5:6")), address("2001:db8:1:2::"));
        assert_eq!(network(address("9.9.9.9")), address("9.9.9.9"));
    }
}
