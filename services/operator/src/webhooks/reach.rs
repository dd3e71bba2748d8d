//! Where an address leads, so that whoever names a `callback_url` cannot have us call what only we can reach (SSRF).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where an address leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Into the internet.
    Public,
    /// Into this machine or its network.
    Private,
    /// To no receiver: to the metadata of a cloud, to many at once, or to another address in disguise.
    Never,
}

impl Reach {
    /// Where `address` leads. What is not known to lead into the internet does not.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    /// Whether it may be called.
    ///
    /// # Errors
    /// Why not, and what would change that.
    pub(super) fn admitted(self, allow_private: bool) -> Result<(), String> {
        match self {
            Self::Public => Ok(()),
            Self::Private if allow_private => Ok(()),
            Self::Private => Err("leads into a private network or to this machine; operator.webhooks.allow_private = \
                                  true (VX11_OPERATOR__WEBHOOKS__ALLOW_PRIVATE=true) allows that"
                .to_owned()),
            Self::Never => Err("leads to an address at which there are no receivers".to_owned()),
        }
    }
}

/// Azure's own services for a machine, at a public address.
const AZURE: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);
/// Alibaba Cloud's metadata of a machine, at an address that carriers share otherwise.
const ALIBABA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// Metadata of a machine at addresses of private networks: Google's, Oracle's and Scaleway's.
const METADATA: [Ipv6Addr; 3] = [
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

/// IANA's registry of special addresses (RFC 6890).
fn of_v4(address: Ipv4Addr) -> Reach {
    let octets = address.octets();
    match octets {
        _ if address == AZURE || address == ALIBABA || address.is_link_local() => Reach::Never,
        _ if address.is_private() || address.is_loopback() => Reach::Private,
        // Shared by the customers of a carrier, and by the machines of some clouds.
        [100, 64..=127, ..] => Reach::Private,
        [0, ..] | [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] | [224..=255, ..] => Reach::Never,
        _ if address.is_documentation() => Reach::Never,
        _ => Reach::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    match address.segments() {
        // AWS has more of its own there than its metadata.
        [0xfd00, 0xec2, ..] => Reach::Never,
        _ if METADATA.contains(&address) => Reach::Never,
        _ if address == Ipv6Addr::LOCALHOST || address.is_unique_local() => Reach::Private,
        // Of all others only 2000::/3 is given out. Within it: protocols of their own (Teredo among them),
        // documentation, and 6to4, which holds an IPv4 address. IPv4-mapped ones and NAT64 are outside.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        _ => Reach::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str) -> Reach {
        Reach::of(address.parse().expect("an address"))
    }

    #[test]
    fn only_what_leads_into_the_internet_is_public() {
        let public =
            ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2001:4860:4860::8888"];
        for address in public {
            assert_eq!(reach(address), Reach::Public, "{address}");
        }
        let private =
            ["127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1"];
        for address in private {
            assert_eq!(reach(address), Reach::Private, "{address}");
        }
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "fd00:ec2::254",
            "fd00:ec2::253",
            "fd20:ce::254",
            "fd00:c1::a9fe:a9fe",
            "fd00:42::42",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "5f00::1",
        ];
        for address in never {
            assert_eq!(reach(address), Reach::Never, "{address}");
        }
    }

    #[test]
    fn private_addresses_are_called_where_that_is_allowed_and_no_others() {
        assert_eq!(Reach::Private.admitted(true), Ok(()));
        assert!(Reach::Private.admitted(false).expect_err("refused").contains("allow_private"));
        assert!(Reach::Never.admitted(true).is_err());
    }
}
