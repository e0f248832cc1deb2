//! Whom an address is counted to, where it is bounded what one peer may have.

use std::net::IpAddr;

/// The bits of an IPv6 address behind its prefix: a machine may take any that is free (RFC 4862), and most networks are a /64.
const IPV6_OWN_BITS: u32 = 64;

/// Who is counted as one: an address of IPv4, however a socket calls it, or a /64 of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Peer(IpAddr);

impl Peer {
    /// The peer that an address is one of.
    pub const fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let bits = address.to_bits() >> IPV6_OWN_BITS << IPV6_OWN_BITS;
                IpAddr::V6(std::net::Ipv6Addr::from_bits(bits))
            }
            address @ IpAddr::V4(_) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_each_address_of_ipv4_another() {
        let peer = |address: &str| Peer::of(address.parse().expect("an address"));
        for (one, other, is_one) in [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            // As a socket of both families calls them: all of IPv4 lies in one /64.
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("::1", "127.0.0.1", false),
        ] {
            assert_eq!(peer(one) == peer(other), is_one, "{one} {other}");
        }
    }
}
