//! The values that are asked for most, in front of moka: a look-up here is a load and a comparison, where moka hashes,
//! pins and takes note of the use. A post is on the pages of many readers, and a page looks twenty up.
//!
//! Each key has one slot, where the last comer stays. Whoever puts or removes a key holds the lock of its room
//! ([`loading`](super::loading)), so what was invalidated is gone from here as well once `invalidate` returns. Keys of
//! different rooms may share a slot: they can only push each other out.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use rustc_hash::FxBuildHasher;

/// Bytes of capacity for which there is one slot.
const SLOT_BYTES: u64 = 1_024;

struct Placed<K, V> {
    key: K,
    value: V,
    weight: u64,
}

/// At most so many bytes of values, by their weight.
pub(super) struct Front<K, V> {
    /// A power of two of them, or none.
    slots: Box<[ArcSwapOption<Placed<K, V>>]>,
    bytes: AtomicU64,
    capacity: u64,
}

impl<K: Hash + Eq + Copy, V: Clone> Front<K, V> {
    pub fn new(capacity: u64) -> Self {
        let slots = if capacity < SLOT_BYTES { 0 } else { 1 << (capacity / SLOT_BYTES).ilog2() };
        Self { slots: (0..slots).map(|_| ArcSwapOption::empty()).collect(), bytes: AtomicU64::new(0), capacity }
    }

    fn slot(&self, key: K) -> Option<&ArcSwapOption<Placed<K, V>>> {
        // The high bits, for rooms are chosen by the low ones.
        let hash = FxBuildHasher.hash_one(key) >> 32;
        self.slots.get(hash as usize & self.slots.len().wrapping_sub(1))
    }

    pub fn get(&self, key: K) -> Option<V> {
        let placed = self.slot(key)?.load();
        placed.as_ref().filter(|placed| placed.key == key).map(|placed| placed.value.clone())
    }

    /// Whether a value that was found behind this is to be put here: not each of those that are asked for once.
    pub fn wants(&self) -> bool {
        const ONE_IN: u32 = 8;
        !self.slots.is_empty() && fastrand::u32(..ONE_IN) == 0
    }

    /// Puts a value into its slot, if the bytes allow it. Under the lock of the key's room.
    pub fn put(&self, key: K, value: V, weight: u64) {
        let Some(slot) = self.slot(key) else { return };
        let there = slot.load().as_ref().map_or(0, |placed| placed.weight);
        if self.bytes.load(Ordering::Relaxed) + weight > self.capacity + there {
            return;
        }
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        self.replaced(slot.swap(Some(Arc::new(Placed { key, value, weight }))));
    }

    /// Removes a key. Under the lock of its room.
    pub fn remove(&self, key: K) {
        if let Some(slot) = self.slot(key)
            && slot.load().as_ref().is_some_and(|placed| placed.key == key)
        {
            self.replaced(slot.swap(None));
        }
    }

    /// Removes everything. Under the locks of all rooms.
    pub fn clear(&self) {
        self.slots.iter().for_each(|slot| self.replaced(slot.swap(None)));
    }

    fn replaced(&self, placed: Option<Arc<Placed<K, V>>>) {
        if let Some(placed) = placed {
            self.bytes.fetch_sub(placed.weight, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_until_it_is_removed_or_pushed_out() {
        let front = Front::new(4 * SLOT_BYTES);
        (0..100u64).for_each(|key| front.put(key, key * 2, 10));
        let found: Vec<u64> = (0..100).filter(|&key| front.get(key).is_some()).collect();
        assert!((2..=4).contains(&found.len()), "one for each slot: {found:?}");
        assert!(found.iter().all(|&key| front.get(key) == Some(key * 2)));
        assert_eq!(front.bytes.load(Ordering::Relaxed), 10 * found.len() as u64);
        front.remove(found[0]);
        assert_eq!(front.get(found[0]), None);
        assert!(found[1..].iter().all(|&key| front.get(key).is_some()));
        front.clear();
        assert!((0..100).all(|key| front.get(key).is_none()));
        assert_eq!(front.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn its_bytes_are_bounded_whatever_a_value_weighs() {
        let front = Front::new(64 * SLOT_BYTES);
        (0..10_000u64).for_each(|key| front.put(key, key, 10_000));
        assert_eq!(front.bytes.load(Ordering::Relaxed), 6 * 10_000);
        let none = Front::new(0);
        none.put(1, 1, 1);
        assert!(none.get(1).is_none() && !none.wants());
    }
}
