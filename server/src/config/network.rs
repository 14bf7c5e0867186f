//! A network of addresses, `10.0.0.0/8` or a single address: what `http.trusted_proxies` lists.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Bits of an IPv4 address in IPv6's clothes that are clothes.
const MAPPED_BITS: u32 = 96;

/// Addresses that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

impl Network {
    /// The networks of the machine's own addresses.
    pub fn loopback() -> [Self; 2] {
        [
            Self { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix_bits: 8 },
            Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_bits: 128 },
        ]
    }

    /// Whether `address` belongs to it. An IPv4 address in IPv6's clothes (`::ffff:10.0.0.1`) counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= self.prefix_bits
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let differ = network.to_bits() ^ address.to_bits();
                differ.leading_zeros() >= self.prefix_bits
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let widest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits: u32 = bits.map_or(Ok(widest), |bits| bits.parse().map_err(|_| ()))?;
        if prefix_bits > widest {
            return Err(());
        }
        // As its members are compared.
        Ok(match address.to_canonical() {
            v4 if v4.is_ipv4() && address.is_ipv6() => {
                Self { address: v4, prefix_bits: prefix_bits.checked_sub(MAPPED_BITS).ok_or(())? }
            }
            _ => Self { address, prefix_bits },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_that_share_its_first_bits() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.contains(address.parse().expect("an address"))
        };
        assert!(contains("10.0.0.0/8", "10.200.3.4"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("10.0.0.0/8", "::ffff:10.1.1.1"));
        for (network, inside, outside) in [
            ("::ffff:10.1.1.1", "10.1.1.1", "10.1.1.2"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
            ("::ffff:0:0/96", "9.9.9.9", "::1"),
        ] {
            assert!(contains(network, inside) && contains(network, &format!("::ffff:{inside}")), "{network}");
            assert!(!contains(network, outside), "{network}");
        }
        assert!(contains("127.0.0.1", "127.0.0.1"));
        assert!(!contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("0.0.0.0/0", "9.9.9.9"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdaa::1"));
        assert!(contains("::ffff:10.0.0.0/104", "10.200.3.4"));
        assert!(!contains("::ffff:10.0.0.1", "10.0.0.2"));
    }

    #[test]
    fn what_is_not_a_network_is_refused() {
        for text in ["", "proxy", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "::/129", "10.0.0/8", "::ffff:10.0.0.1/95"]
        {
            assert_eq!(text.parse::<Network>(), Err(()), "{text}");
        }
    }
}
