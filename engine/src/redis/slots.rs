//! Which shard holds which readers: the 4,096 reader slots over the shards by weighted rendezvous hashing. Pure.
//!
//! Every shard has a score for every slot, and the highest takes it. A score depends on that shard and that slot
//! alone, so a shard that comes takes slots for itself only, one that goes leaves its own only, and a changed weight
//! moves slots between that shard and others only. With the score `-weight / ln(hash)`, hash in (0, 1), a shard wins
//! in proportion to its weight (C. Schindelhauer and G. Schomaker, "Weighted Distributed Hash Tables", SPAA 2005, the
//! logarithmic method; in this form J. Resch, "New Hashing Algorithms for Data Storage", SDC 2015).
//!
//! Every node must find the same owners, and the last bit of a floating-point logarithm depends on the machine's
//! library. So the logarithm is computed here, in integers; the base cancels out of the comparison.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::limits::READER_SLOTS;

/// Bits behind the point of a logarithm: as exact as a double.
const FRACTION_BITS: u32 = 48;

/// One shard's share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// The shard's name. It is what is hashed: renaming a shard moves its slots, a new address does not.
    pub name: Box<str>,
    /// Its share against those of the others, at least 1.
    pub weight: u32,
}

/// Why shares are no map.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SlotMapError {
    /// Nobody would hold the readers.
    #[error("a slot map needs at least one shard")]
    Empty,
    /// A name that stands for two.
    #[error("the slot map names the shard {0:?} twice")]
    Twice(Box<str>),
    /// A share of nothing.
    #[error("the weight of the shard {0:?} is 0; it must be at least 1")]
    Weightless(Box<str>),
}

/// The shards with their weights, in the order of their names, and the version of it all. As JSON:
/// `{"version":1,"shards":[{"name":"a","weight":1}]}`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct SlotMap {
    version: u64,
    shards: Vec<Share>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    version: u64,
    shards: Vec<Share>,
}

impl TryFrom<Unchecked> for SlotMap {
    type Error = SlotMapError;
    fn try_from(raw: Unchecked) -> Result<Self, SlotMapError> {
        Self::new(raw.version, raw.shards)
    }
}

impl SlotMap {
    /// A map of these shards.
    ///
    /// # Errors
    /// No shard, a name twice, or a weight of 0.
    pub fn new(version: u64, mut shards: Vec<Share>) -> Result<Self, SlotMapError> {
        shards.sort_by(|a, b| a.name.cmp(&b.name));
        if shards.is_empty() {
            return Err(SlotMapError::Empty);
        }
        if let Some(pair) = shards.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(SlotMapError::Twice(pair[0].name.clone()));
        }
        if let Some(share) = shards.iter().find(|share| share.weight == 0) {
            return Err(SlotMapError::Weightless(share.name.clone()));
        }
        Ok(Self { version, shards })
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The shards, in the order of their names.
    pub fn shards(&self) -> &[Share] {
        &self.shards
    }

    /// For each slot the place of its owner in [`shards`](Self::shards).
    pub fn owners(&self) -> Vec<u16> {
        let seeds: Vec<u64> = self.shards.iter().map(|share| hash_name(&share.name)).collect();
        (0..READER_SLOTS)
            .map(|slot| {
                let mut best = 0;
                let mut lowest = u128::MAX;
                for (place, (share, &seed)) in self.shards.iter().zip(&seeds).enumerate() {
                    // The highest `weight / -log` is the lowest `-log / weight`. 54 bits shifted by 32 leave enough
                    // of a quotient that equal ones are as rare as equal logarithms; they go to the first name.
                    let cost = (u128::from(minus_log2(hash_slot(seed, slot))) << 32) / u128::from(share.weight);
                    if cost < lowest {
                        (best, lowest) = (place as u16, cost);
                    }
                }
                best
            })
            .collect()
    }

    /// How many slots each of [`shards`](Self::shards) holds.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.shards.len()];
        for owner in self.owners() {
            counts[usize::from(owner)] += 1;
        }
        counts
    }

    /// The slots whose owner is another one in `other`.
    pub fn moved(&self, other: &Self) -> Vec<u16> {
        let (here, there) = (self.owners(), other.owners());
        let name = |map: &'_ Self, owner: u16| map.shards[usize::from(owner)].name.clone();
        (0..READER_SLOTS)
            .filter(|&slot| name(self, here[usize::from(slot)]) != name(other, there[usize::from(slot)]))
            .collect()
    }
}

/// FNV-1a (G. Fowler, L. C. Noll, K.-P. Vo), then mixed: names that differ by one letter differ in every bit.
fn hash_name(name: &str) -> u64 {
    let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    mix(name.bytes().fold(0xCBF2_9CE4_8422_2325, fold))
}

fn hash_slot(seed: u64, slot: u16) -> u64 {
    mix(seed ^ (u64::from(slot) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// The finalizer of MurmurHash3 (A. Appleby).
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    let x = (x ^ (x >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    x ^ (x >> 33)
}

/// `-log2(hash / 2^64)` in fixed point, bit by bit: a number in [1, 2) is squared, and whether the square reaches 2 is
/// the next bit of its logarithm.
fn minus_log2(hash: u64) -> u64 {
    let hash = hash.max(1);
    let zeros = hash.leading_zeros();
    let mut number = hash << zeros;
    let mut log = 0_u64;
    for _ in 0..FRACTION_BITS {
        let square = (u128::from(number) * u128::from(number)) >> 63;
        let over = u32::from(square >> 64 != 0);
        number = (square >> over) as u64;
        log = log << 1 | u64::from(over);
    }
    (u64::from(zeros + 1) << FRACTION_BITS) - log
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(version: u64, shares: &[(&str, u32)]) -> SlotMap {
        let shards = shares.iter().map(|&(name, weight)| Share { name: name.into(), weight }).collect();
        SlotMap::new(version, shards).unwrap()
    }

    fn owner_names(map: &SlotMap) -> Vec<Box<str>> {
        map.owners().iter().map(|&owner| map.shards()[usize::from(owner)].name.clone()).collect()
    }

    /// Names that need not be pretty, without repetitions, with weights.
    fn shares() -> impl Strategy<Value = Vec<(String, u32)>> {
        prop::collection::btree_map("[a-z0-9-]{1,8}", 1..20_u32, 1..8).prop_map(|map| map.into_iter().collect())
    }

    fn of(shares: &[(String, u32)]) -> SlotMap {
        map(1, &shares.iter().map(|(name, weight)| (&**name, *weight)).collect::<Vec<_>>())
    }

    #[test]
    fn the_logarithm_is_that_of_the_mathematicians() {
        for hash in (0..10_000_u64).map(|n| mix(n + 1)).chain([1, 2, 3, u64::MAX, 1 << 63, (1 << 63) - 1]) {
            let exact = 64.0 - (hash as f64).log2();
            let ours = minus_log2(hash) as f64 / (1_u64 << FRACTION_BITS) as f64;
            assert!((exact - ours).abs() < 1e-9, "{hash}: {exact} {ours}");
        }
    }

    #[test]
    fn owners_are_the_same_on_every_machine_and_in_every_release() {
        let sum = map(1, &[("a", 1), ("b", 1), ("c", 2)])
            .owners()
            .iter()
            .fold(0_u64, |sum, &owner| mix(sum ^ u64::from(owner)));
        assert_eq!(sum, 16_611_637_850_200_537_301);
        assert_eq!(map(1, &[("a", 1), ("b", 1), ("c", 2)]).counts(), [1_079, 1_010, 2_007]);
    }

    #[test]
    fn what_is_no_map_is_refused_also_as_json() {
        assert_eq!(SlotMap::new(1, vec![]), Err(SlotMapError::Empty));
        let share = |name: &str, weight| Share { name: name.into(), weight };
        assert_eq!(SlotMap::new(1, vec![share("a", 1), share("a", 2)]), Err(SlotMapError::Twice("a".into())));
        assert_eq!(SlotMap::new(1, vec![share("a", 0)]), Err(SlotMapError::Weightless("a".into())));
        let text = r#"{"version":3,"shards":[{"name":"a","weight":1},{"name":"b","weight":2}]}"#;
        let parsed: SlotMap = serde_json::from_str(text).unwrap();
        assert_eq!(parsed, map(3, &[("b", 2), ("a", 1)]));
        assert_eq!(serde_json::to_string(&parsed).unwrap(), text);
        let refused = serde_json::from_str::<SlotMap>(r#"{"version":3,"shards":[{"name":"a","weight":0}]}"#);
        assert!(refused.unwrap_err().to_string().contains("weight of the shard \"a\" is 0"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn weights_are_honoured(shares in shares()) {
            let map = of(&shares);
            let total: u32 = shares.iter().map(|(_, weight)| weight).sum();
            for (share, count) in map.shards().iter().zip(map.counts()) {
                let expected = f64::from(READER_SLOTS) * f64::from(share.weight) / f64::from(total);
                // Slots fall like coins: five standard deviations are next to never.
                let deviation = (expected * (1.0 - expected / f64::from(READER_SLOTS))).sqrt();
                prop_assert!((count as f64 - expected).abs() <= 5.0 * deviation + 1.0, "{share:?}: {count} for {expected}");
            }
        }

        #[test]
        fn a_shard_that_comes_or_goes_moves_its_own_slots_only(mut shares in shares(), weight in 1..20_u32) {
            let before = of(&shares);
            shares.push(("another-one".into(), weight));
            let after = of(&shares);
            let (old, new) = (owner_names(&before), owner_names(&after));
            let moved = before.moved(&after);
            prop_assert_eq!(&moved, &after.moved(&before));
            prop_assert_eq!(moved.len(), new.iter().filter(|name| &***name == "another-one").count());
            for slot in 0..old.len() {
                prop_assert!(new[slot] == old[slot] || &*new[slot] == "another-one");
            }
        }

        #[test]
        fn a_changed_weight_moves_slots_between_that_shard_and_others_only(mut shares in shares(), more in 1..20_u32) {
            let before = of(&shares);
            shares[0].1 += more;
            let after = of(&shares);
            let new = owner_names(&after);
            for slot in before.moved(&after) {
                prop_assert_eq!(&*new[usize::from(slot)], &shares[0].0);
            }
        }
    }
}
