//! The IP addresses to which a tenant's URL may lead: only public hosts.
//!
//! Source: IANA's registries "IPv4 Special-Purpose Address Space", "IPv6 Special-Purpose Address Space" (RFC 6890)
//! and "IPv6 Global Unicast Address Assignments". The rules here are stricter than the registries' column "Globally
//! Reachable": the anycast addresses of protocols are refused too, because no tenant's server has one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The IPv4 blocks without public hosts.
const REFUSED_V4: [(Ipv4Addr, u32); 19] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),        // this network; 0.0.0.0 reaches the host itself
    (Ipv4Addr::new(10, 0, 0, 0), 8),       // private
    (Ipv4Addr::new(100, 64, 0, 0), 10),    // shared by carriers (CGNAT); some clouds' metadata
    (Ipv4Addr::new(127, 0, 0, 0), 8),      // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's host agent: public in the registry, private in Azure
    (Ipv4Addr::new(169, 254, 0, 0), 16),   // link-local; 169.254.169.254 is the metadata service
    (Ipv4Addr::new(172, 16, 0, 0), 12),    // private
    (Ipv4Addr::new(192, 0, 0, 0), 24),     // IETF protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24),     // documentation
    (Ipv4Addr::new(192, 31, 196, 0), 24),  // AS112
    (Ipv4Addr::new(192, 52, 193, 0), 24),  // AMT relays
    (Ipv4Addr::new(192, 88, 99, 0), 24),   // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16),   // private
    (Ipv4Addr::new(192, 175, 48, 0), 24),  // AS112
    (Ipv4Addr::new(198, 18, 0, 0), 15),    // benchmarking
    (Ipv4Addr::new(198, 51, 100, 0), 24),  // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24),   // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4),      // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4),      // reserved, and broadcast
];

/// The block from which IANA assigns global unicast addresses. Every other address is refused: the unspecified
/// address, loopback, the forms with an IPv4 address inside (mapped ::ffff:0:0/96, translated ::ffff:0:0:0/96,
/// compatible ::/96), NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), discard 100::/64, SRv6 5f00::/16, unique local
/// fc00::/7 (in which fd00:ec2::254 is AWS's metadata service), link-local, site-local, multicast.
///
/// NAT64 and mapped addresses could be checked by the IPv4 address inside. But no public name has such a record, and
/// each accepted form would have to be unwrapped exactly as the kernel and the network do. The cost: a DNS64 resolver
/// (which makes up NAT64 records) gets names that have only IPv4 refused, so leave DNS64 off in the subnet.
const GLOBAL_UNICAST_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The blocks inside [`GLOBAL_UNICAST_V6`] without public hosts.
const REFUSED_V6: [(Ipv6Addr, u32); 5] = [
    // IETF protocol assignments: Teredo 2001::/32, benchmarking 2001:2::/48, ORCHID 2001:10::/28 and 2001:20::/28, …
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),     // 6to4: an IPv4 address, reached through any relay
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48), // AS112
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),     // documentation
];

/// Returns true when an address is that of a public host, so that a call cannot reach a private service.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !REFUSED_V4.iter().any(|&block| is_in_v4(address, block)),
        IpAddr::V6(address) => {
            is_in_v6(address, GLOBAL_UNICAST_V6) && !REFUSED_V6.iter().any(|&block| is_in_v6(address, block))
        }
    }
}

const fn is_in_v4(address: Ipv4Addr, (network, prefix): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (u32::BITS - prefix) == 0
}

const fn is_in_v6(address: Ipv6Addr, (network, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ network.to_bits()) >> (u128::BITS - prefix) == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The registries' special blocks, written down independently of the tables above, so that a slip there is
    /// noticed.
    const SPECIAL_V4: [&str; 25] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "169.254.169.254/32",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.0.8/32",
        "192.0.0.9/32",
        "192.0.0.10/32",
        "192.0.0.170/31",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "255.255.255.255/32",
    ];

    const SPECIAL_V6: [&str; 31] = [
        "::/128",
        "::1/128",
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001::/32",
        "2001:1::1/128",
        "2001:1::2/128",
        "2001:1::3/128",
        "2001:2::/48",
        "2001:3::/32",
        "2001:4:112::/48",
        "2001:10::/28",
        "2001:20::/28",
        "2001:30::/28",
        "2001:db8::/32",
        "2002::/16",
        "2620:4f:8000::/48",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fd00:ec2::254/128",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "4000::/2",
    ];

    /// Blocks that registries have assigned to networks of ordinary hosts.
    const PUBLIC: [&str; 22] = [
        "1.1.1.0/24",
        "3.0.0.0/8",
        "8.8.8.0/24",
        "34.0.0.0/8",
        "41.0.0.0/8",
        "93.184.0.0/16",
        "100.0.0.0/10",
        "100.128.0.0/9",
        "102.0.0.0/8",
        "172.0.0.0/12",
        "172.32.0.0/11",
        "192.1.0.0/16",
        "196.0.0.0/8",
        "198.20.0.0/14",
        "223.0.0.0/8",
        "2001:200::/23",
        "2001:4860::/32",
        "2400::/12",
        "2600::/12",
        "2606:4700::/32",
        "2a00::/12",
        "2c00::/12",
    ];

    fn block(text: &str) -> (IpAddr, u32) {
        let (network, prefix) = text.split_once('/').unwrap();
        (network.parse().unwrap(), prefix.parse().unwrap())
    }

    /// Returns the address in a block whose host part is `bits`.
    fn member((network, prefix): (IpAddr, u32), bits: u128) -> IpAddr {
        let host = |width: u32| bits & u128::MAX.checked_shr(u128::BITS - width + prefix).unwrap_or(0);
        match network {
            IpAddr::V4(network) => Ipv4Addr::from_bits(network.to_bits() | u32::try_from(host(32)).unwrap()).into(),
            IpAddr::V6(network) => Ipv6Addr::from_bits(network.to_bits() | host(128)).into(),
        }
    }

    /// Returns every IPv6 address that leads, or once led, to an IPv4 address.
    fn wrapped(address: Ipv4Addr) -> Vec<Ipv6Addr> {
        let bits = u128::from(address.to_bits());
        vec![
            address.to_ipv6_mapped(),
            Ipv6Addr::from_bits(bits),                                  // compatible
            Ipv6Addr::from_bits(0xffff << 48 | bits),                   // translated
            Ipv6Addr::from_bits(0x0064_ff9b << 96 | bits),              // NAT64
            Ipv6Addr::from_bits(0x0064_ff9b_0001 << 80 | bits),         // NAT64 of one network
            Ipv6Addr::from_bits(0x2002 << 112 | bits << 80),            // 6to4
            Ipv6Addr::from_bits(0x2001 << 112 | bits << 64),            // Teredo, the server
            Ipv6Addr::from_bits(0x2001 << 112 | (!bits & 0xffff_ffff)), // Teredo, the client
        ]
    }

    #[test]
    fn the_first_and_last_address_of_every_special_block_are_refused() {
        for text in SPECIAL_V4.into_iter().chain(SPECIAL_V6) {
            for address in [member(block(text), 0), member(block(text), u128::MAX)] {
                assert!(!is_public(address), "{address} of {text}");
            }
        }
    }

    #[test]
    fn the_neighbours_of_refused_blocks_pass() {
        for text in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "168.63.129.15",
            "168.63.129.17",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.1.255",
            "192.0.3.0",
            "192.31.195.255",
            "192.31.197.0",
            "192.52.192.255",
            "192.52.194.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "192.175.47.255",
            "192.175.49.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::",
            "2620:4f:7fff::",
            "2620:4f:8001::",
            "3ffe:ffff::",
            "3fff:1000::",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn special_ipv4_is_refused_in_every_form(text in prop::sample::select(&SPECIAL_V4[..]), bits: u128) {
            let IpAddr::V4(address) = member(block(text), bits) else { unreachable!() };
            prop_assert!(!is_public(address.into()), "{address} of {text}");
            for form in wrapped(address) {
                prop_assert!(!is_public(form.into()), "{form} of {address}");
            }
        }

        #[test]
        fn special_ipv6_is_refused(text in prop::sample::select(&SPECIAL_V6[..]), bits: u128) {
            let address = member(block(text), bits);
            prop_assert!(!is_public(address), "{address} of {text}");
        }

        #[test]
        fn ipv6_outside_global_unicast_is_refused(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            prop_assert!(address.segments()[0] >> 13 == 1 || !is_public(address.into()), "{address}");
        }

        #[test]
        fn public_hosts_pass(text in prop::sample::select(&PUBLIC[..]), bits: u128) {
            let address = member(block(text), bits);
            prop_assert!(is_public(address), "{address} of {text}");
        }

        #[test]
        fn public_ipv4_inside_of_ipv6_is_refused(bits: u32) {
            for form in wrapped(Ipv4Addr::from_bits(bits)) {
                prop_assert!(!is_public(form.into()), "{form}");
            }
        }

        /// Compares with the standard library's predicates, where it has them.
        #[test]
        fn addresses_that_the_standard_library_calls_special_are_not_public(v4: u32, v6: u128) {
            let v4 = Ipv4Addr::from_bits(v4);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
                || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
            prop_assert!(!special || !is_public(v4.into()), "{v4}");
            let v6 = Ipv6Addr::from_bits(v6);
            let special = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast();
            prop_assert!(!special || !is_public(v6.into()), "{v6}");
        }
    }
}
