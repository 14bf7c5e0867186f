//! Who is calling, by address: the peer, or whom a trusted proxy says it stands for.

use std::net::{IpAddr, Ipv6Addr};

use http::HeaderMap;

use crate::config::Network;

/// The caller's address: the nearest one to us in `X-Forwarded-For` that is no trusted proxy, if the peer is
/// one; else the peer. As it is [`counted`].
pub fn caller(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let trusts = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut address = peer;
    if trusts(peer) {
        let forwarded = headers.get_all("x-forwarded-for");
        let hops: Vec<&str> = forwarded.iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')).collect();
        for hop in hops.into_iter().rev() {
            let Ok(hop) = hop.trim().parse() else { break };
            address = hop;
            if !trusts(hop) {
                break;
            }
        }
    }
    counted(address)
}

/// An address as limits count it: IPv6 by the /64, which is what one household is given.
pub fn counted(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(peer: &str, forwarded: &str, trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", forwarded.parse().unwrap());
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        caller(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(seen("9.9.9.9", "1.2.3.4", &["10.0.0.0/8"]), "9.9.9.9");
        assert_eq!(seen("10.1.1.1", "1.2.3.4", &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(seen("::ffff:10.1.1.1", "6.6.6.6, 1.2.3.4, 10.2.2.2", &["10.0.0.0/8"]), "1.2.3.4");
        assert_eq!(seen("10.1.1.1", "1.2.3.4, nonsense", &["10.1.1.1"]), "10.1.1.1");
        assert_eq!(seen("2001:db8:1:2:3:4:5:6", "", &[]), "2001:db8:1:2::");
    }
}
