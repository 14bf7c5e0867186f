//! Ids: milliseconds since 2010 (41 bits), logical shard (10 bits), sequence (12 bits).
//! So an id names its partition and its time, sorts by it, and fits PostgreSQL's signed `bigint`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::Millis;
use crate::limits;

const SHARD_BITS: u32 = 10;
const SEQUENCE_BITS: u32 = 12;
const SEQUENCE_MASK: u64 = (1 << SEQUENCE_BITS) - 1;
const SHARD_MASK: u64 = (1 << SHARD_BITS) - 1;
const TIME_SHIFT: u32 = SHARD_BITS + SEQUENCE_BITS;
/// 2010-01-01T00:00:00Z in Unix milliseconds.
const ID_EPOCH_MS: u64 = 1_262_304_000_000;

const _: () = assert!(limits::LOGICAL_SHARDS as u64 == SHARD_MASK + 1);

/// A user (an author, a reader).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct UserId(pub u64);

/// A post. Larger is newer; one author's ids rise strictly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct PostId(pub u64);

const fn compose(at: Millis, shard: u16, sequence: u16) -> u64 {
    let ms = at.0.saturating_sub(ID_EPOCH_MS);
    (ms << TIME_SHIFT) | ((shard as u64 & SHARD_MASK) << SEQUENCE_BITS) | (sequence as u64 & SEQUENCE_MASK)
}

impl UserId {
    /// The id of the user made at `at` in logical shard `shard` as number `sequence` (< 4,096) of that millisecond.
    pub const fn new(at: Millis, shard: u16, sequence: u16) -> Self {
        Self(compose(at, shard, sequence))
    }

    /// The logical shard, 0 to 1,023, that holds what this user does.
    pub const fn shard(self) -> u16 {
        ((self.0 >> SEQUENCE_BITS) & SHARD_MASK) as u16
    }

    /// When the user was made.
    pub const fn created_at(self) -> Millis {
        Millis((self.0 >> TIME_SHIFT) + ID_EPOCH_MS)
    }

    /// The next id that could exist: ids of one millisecond differ in shard or sequence.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Spreads ids evenly over 64 bits, for hash tables: the finalizer of MurmurHash3 (A. Appleby).
    pub const fn spread(self) -> u64 {
        let x = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
        let x = (x ^ (x >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
        x ^ (x >> 33)
    }

    /// The reader slot, 0 to 4,095: the unit in which readers are shared out among shards and workers.
    pub const fn slot(self) -> u16 {
        (self.spread() >> 20) as u16 % limits::READER_SLOTS
    }
}

impl PostId {
    /// Above every post.
    pub const MAX: Self = Self(i64::MAX as u64);
    /// Below every post: as a floor, "everything".
    pub const MIN: Self = Self(0);

    /// The id of the post made at `at` by an author of logical shard `shard` as number `sequence` (< 4,096).
    pub const fn new(at: Millis, shard: u16, sequence: u16) -> Self {
        Self(compose(at, shard, sequence))
    }

    /// An id made at `at` in `shard`, above `last`: the clock may stand still or step back, an author's ids rise.
    pub const fn after(last: Self, at: Millis, shard: u16) -> Self {
        let fresh = Self::new(at, shard, 0);
        if fresh.0 > last.0 {
            return fresh;
        }
        let sequence = last.0 & SEQUENCE_MASK;
        if sequence < SEQUENCE_MASK { Self(last.0 + 1) } else { Self::new(Millis(last.created_at().0 + 1), shard, 0) }
    }

    /// When the post was made.
    pub const fn created_at(self) -> Millis {
        Millis((self.0 >> TIME_SHIFT) + ID_EPOCH_MS)
    }

    /// The logical shard of the author.
    pub const fn shard(self) -> u16 {
        ((self.0 >> SEQUENCE_BITS) & SHARD_MASK) as u16
    }

    /// Milliseconds since 2010, and the 22 bits below: the two parts that pack differently.
    pub const fn parts(self) -> (u64, u32) {
        (self.0 >> TIME_SHIFT, (self.0 & ((1 << TIME_SHIFT) - 1)) as u32)
    }

    /// The id of these [`parts`](Self::parts).
    pub const fn from_parts(ms: u64, low: u32) -> Self {
        Self((ms << TIME_SHIFT) | low as u64)
    }
}

macro_rules! decimal {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        /// Decimal digits only, no sign, 1 to 2^63 - 1.
        impl FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                if text.is_empty() || text.len() > 19 || !text.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(());
                }
                match text.parse::<u64>() {
                    Ok(id) if id > 0 && id <= i64::MAX as u64 => Ok(Self(id)),
                    _ => Err(()),
                }
            }
        }
    };
}
decimal!(UserId);
decimal!(PostId);

/// A user's unique name: 1 to 30 of `[a-z0-9_]`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "Box<str>")]
pub struct Handle(Box<str>);

impl Handle {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Handle {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let valid = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if text.is_empty() || text.len() > limits::HANDLE_BYTES || !text.bytes().all(valid) {
            return Err(());
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<Box<str>> for Handle {
    type Error = &'static str;
    fn try_from(text: Box<str>) -> Result<Self, Self::Error> {
        text.parse().map_err(|()| "not a handle")
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Reader slots `start..end`, a worker's share of the readers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotRange {
    /// First slot.
    pub start: u16,
    /// One past the last.
    pub end: u16,
}

impl SlotRange {
    /// Every reader.
    pub const ALL: Self = Self { start: 0, end: limits::READER_SLOTS };

    /// Part `n` of `parts` (from 0) that all slots are divided into, as evenly as can be.
    pub fn part(n: usize, parts: usize) -> Self {
        let bound = |n: usize| (limits::READER_SLOTS as usize * n / parts) as u16;
        Self { start: bound(n), end: bound(n + 1) }
    }

    /// Whether `reader` is one of them.
    pub const fn holds(self, reader: UserId) -> bool {
        let slot = reader.slot();
        self.start <= slot && slot < self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_time_and_shard() {
        let at = Millis(1_763_000_000_123);
        let id = PostId::new(at, 1_023, 7);
        assert_eq!((id.created_at(), id.shard()), (at, 1_023));
        let (ms, low) = id.parts();
        assert_eq!(PostId::from_parts(ms, low), id);
    }

    #[test]
    fn an_authors_ids_rise_though_the_clock_steps_back() {
        let mut last = PostId::new(Millis(1_763_000_000_000), 5, 0);
        for step in 0..10_000u64 {
            let next = PostId::after(last, Millis(1_763_000_000_000 - step), 5);
            assert!(next > last && next.shard() == 5);
            last = next;
        }
    }

    #[test]
    fn hostile_ids_are_refused() {
        for text in ["", "0", "-1", "+1", " 1", "1 ", "0x1", "9223372036854775808", "99999999999999999999", "١"] {
            assert!(text.parse::<PostId>().is_err(), "{text:?}");
        }
        assert_eq!("9223372036854775807".parse(), Ok(PostId::MAX));
    }

    #[test]
    fn slots_spread_evenly_over_readers() {
        let mut counts = vec![0u32; limits::READER_SLOTS as usize];
        for n in 0..400_000u64 {
            counts[UserId::new(Millis(1_763_000_000_000 + n / 3), (n % 1_024) as u16, 0).slot() as usize] += 1;
        }
        assert!(counts.iter().all(|&c| (30..250).contains(&c)), "{:?}", counts.iter().minmax());
    }

    #[test]
    fn parts_cover_every_slot_once() {
        for parts in [1, 2, 3, 7, 4_096, 5_000] {
            let ranges: Vec<SlotRange> = (0..parts).map(|n| SlotRange::part(n, parts)).collect();
            assert!(ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((ranges[0].start, ranges[parts - 1].end), (0, limits::READER_SLOTS));
            assert!(ranges.iter().all(|range| usize::from(range.end - range.start) <= 4_096_usize.div_ceil(parts)));
        }
    }

    trait MinMax {
        fn minmax(self) -> (u32, u32);
    }
    impl<'a, I: Iterator<Item = &'a u32> + Clone> MinMax for I {
        fn minmax(self) -> (u32, u32) {
            (self.clone().copied().min().unwrap_or(0), self.copied().max().unwrap_or(0))
        }
    }
}
