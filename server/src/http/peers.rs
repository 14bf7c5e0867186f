//! Connections by the address at their other end: one peer may not take every place (law 9).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::address;
use crate::config::Network;

/// The open connections of each address.
pub struct Peers {
    most: usize,
    /// Peers that stand for many callers.
    unbounded: Vec<Network>,
    /// Of addresses that have some.
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl Peers {
    /// `most`: connections of one address, but for the `unbounded`.
    pub fn new(most: usize, unbounded: Vec<Network>) -> Arc<Self> {
        Arc::new(Self { most, unbounded, open: Mutex::default() })
    }

    /// A place for one more connection of this peer, until it is dropped; none: it has as many as it may.
    pub fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        if self.unbounded.iter().any(|network| network.contains(peer)) {
            return Some(Place(None));
        }
        let address = address::counted(peer);
        let mut open = self.open();
        let count = open.entry(address).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(open);
        Some(Place(Some((Arc::clone(self), address))))
    }

    fn open(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place.
pub struct Place(Option<(Arc<Peers>, IpAddr)>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some((peers, address)) = &self.0 else { return };
        let mut open = peers.open();
        match open.get_mut(address) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let peers = Peers::new(2, vec!["10.0.0.0/8".parse().unwrap()]);
        let admit = |peer: &str| peers.admit(peer.parse().unwrap());
        let first = admit("192.0.2.1");
        let second = admit("::ffff:192.0.2.1");
        assert!(first.is_some() && second.is_some() && admit("192.0.2.1").is_none());
        assert!(admit("192.0.2.2").is_some(), "another address has its own");
        drop(first);
        let third = admit("192.0.2.1");
        assert!(third.is_some() && admit("192.0.2.1").is_none());
        drop((second, third));
        assert!(peers.open().is_empty(), "nothing is kept of those who have gone");

        let proxied: Vec<_> = (0..10).map(|_| admit("10.1.2.3")).collect();
        assert!(proxied.iter().all(Option::is_some));
    }

    #[test]
    fn a_household_of_ipv6_is_one_address() {
        let peers = Peers::new(1, Vec::new());
        let _place = peers.admit("2001:db8:1:2::1".parse().unwrap()).unwrap();
        assert!(peers.admit("2001:db8:1:2:ffff::2".parse().unwrap()).is_none());
        assert!(peers.admit("2001:db8:1:3::1".parse().unwrap()).is_some());
    }
}
