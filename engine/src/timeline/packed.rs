//! Packed post ids, newest first: one LEB128 number an entry.
//!
//! An id is milliseconds, logical shard and sequence. What varies from one entry of a timeline to the next is the
//! time; the sequence is almost always 0. So an entry is the number
//! `milliseconds before the entry above << 11 | shard << 1 | (sequence != 0)`, then, in the rare second case,
//! the sequence as another number. The entry above the first is [`PostId::MAX`].
//! 4.1 bytes an entry in full windows of a real trace: see docs/performance.md.

use crate::model::PostId;

const SEQUENCE_BITS: u32 = 12;
const SEQUENCE_MASK: u32 = (1 << SEQUENCE_BITS) - 1;
const SHARD_MASK: u64 = (1 << 10) - 1;

/// Packs ids, which must fall strictly, behind `out`.
#[derive(Debug)]
pub struct Packer {
    above_ms: u64,
}

impl Default for Packer {
    fn default() -> Self {
        Self { above_ms: PostId::MAX.parts().0 }
    }
}

impl Packer {
    /// Appends the next lower id.
    #[inline]
    pub fn push(&mut self, id: PostId, out: &mut Vec<u8>) {
        let (ms, low) = id.parts();
        let (shard, sequence) = (u64::from(low >> SEQUENCE_BITS), low & SEQUENCE_MASK);
        put_number(out, (self.above_ms - ms) << 11 | shard << 1 | u64::from(sequence != 0));
        if sequence != 0 {
            put_number(out, u64::from(sequence));
        }
        self.above_ms = ms;
    }
}

/// Packs ids, which must fall strictly.
pub fn pack(ids: impl IntoIterator<Item = PostId>, out: &mut Vec<u8>) {
    let mut packer = Packer::default();
    for id in ids {
        packer.push(id, out);
    }
}

/// Bytes of `count` ids in any order at the most: the newest's time, and for each a number and a sequence.
pub const fn unordered_bytes(count: usize) -> usize {
    6 + count * (8 + 2)
}

/// Packs ids in any order, which they keep: the milliseconds of the newest, then each id as if that stood above it.
pub fn pack_unordered(ids: &[PostId], out: &mut Vec<u8>) {
    let newest_ms = ids.iter().max().map_or(0, |newest| newest.parts().0);
    put_number(out, newest_ms);
    for &id in ids {
        Packer { above_ms: newest_ms }.push(id, out);
    }
}

/// The ids of [`pack_unordered`]; none where the bytes are anything else, or more than `count` ids.
pub fn unpack_unordered(mut bytes: &[u8], count: usize) -> Option<Vec<PostId>> {
    let newest_ms = take_number(&mut bytes).filter(|&ms| ms <= PostId::MAX.parts().0)?;
    let mut ids = Vec::new();
    let mut unpacked = unpack(bytes);
    while !unpacked.is_exhausted() {
        unpacked.above_ms = newest_ms;
        ids.push(unpacked.next().filter(|_| ids.len() < count)?);
    }
    Some(ids)
}

/// The ids of a packed run, newest first. Ends at the first byte that cannot belong to one.
#[derive(Clone, Debug)]
pub struct Unpacked<'a> {
    bytes: &'a [u8],
    above_ms: u64,
}

/// Unpacks a run.
pub fn unpack(bytes: &[u8]) -> Unpacked<'_> {
    Unpacked { bytes, above_ms: PostId::MAX.parts().0 }
}

impl Unpacked<'_> {
    /// Whether every byte was understood: true once the iterator has ended in good order.
    pub fn is_exhausted(&self) -> bool {
        self.bytes.is_empty()
    }
}

impl Iterator for Unpacked<'_> {
    type Item = PostId;

    #[inline]
    fn next(&mut self) -> Option<PostId> {
        let mut rest = self.bytes;
        let number = take_number(&mut rest)?;
        let ms = self.above_ms.checked_sub(number >> 11)?;
        let shard = ((number >> 1) & SHARD_MASK) as u32;
        let sequence = if number & 1 == 1 { take_number(&mut rest)? as u32 & SEQUENCE_MASK } else { 0 };
        self.bytes = rest;
        self.above_ms = ms;
        Some(PostId::from_parts(ms, shard << SEQUENCE_BITS | sequence))
    }
}

/// Appends an unsigned LEB128 number: 1 to 10 bytes.
#[inline]
pub fn put_number(out: &mut Vec<u8>, number: u64) {
    // Nearly every number has up to 8 bytes. How many varies from one to the next, so that a loop is mispredicted.
    if number >> 56 == 0 {
        let length = (u64::BITS - (number | 1).leading_zeros()).div_ceil(7);
        let goes_on = 0x8080_8080_8080_8080 & !(u64::MAX << (8 * (length - 1)));
        let end = out.len() + length as usize;
        out.extend_from_slice(&(spread(number) | goes_on).to_le_bytes());
        out.truncate(end);
    } else {
        put_number_slowly(out, number);
    }
}

fn put_number_slowly(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes an unsigned LEB128 number from the front; none, and nothing taken, where there is no whole one below 2^64.
#[inline]
pub fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    // Nearly every number of a window has up to 8 bytes and others behind it: one load instead of a loop.
    if let Some(&eight) = bytes.first_chunk::<8>() {
        let word = u64::from_le_bytes(eight);
        let ends = !word & 0x8080_8080_8080_8080;
        if ends != 0 {
            let bits = ends.trailing_zeros() + 1;
            *bytes = &bytes[(bits / 8) as usize..];
            return Some(squeeze(word & (u64::MAX >> (64 - bits))));
        }
    }
    take_number_slowly(bytes)
}

/// Joins the low seven bits of each of eight bytes, halving the gaps three times.
#[inline]
fn squeeze(word: u64) -> u64 {
    let x = word & 0x7f7f_7f7f_7f7f_7f7f;
    let x = (x & 0x007f_007f_007f_007f) | ((x & 0x7f00_7f00_7f00_7f00) >> 1);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x3fff_0000_3fff_0000) >> 2);
    (x & 0x0000_0000_0fff_ffff) | ((x & 0x0fff_ffff_0000_0000) >> 4)
}

/// The opposite of [`squeeze`], of 56 bits.
#[inline]
fn spread(x: u64) -> u64 {
    let x = (x & 0x0000_0000_0fff_ffff) | ((x & 0x00ff_ffff_f000_0000) << 4);
    let x = (x & 0x0000_3fff_0000_3fff) | ((x & 0x0fff_c000_0fff_c000) << 2);
    (x & 0x007f_007f_007f_007f) | ((x & 0x3f80_3f80_3f80_3f80) << 1)
}

fn take_number_slowly(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for (n, &byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if n == 9 && part > 1 {
            return None;
        }
        number |= part << (7 * n);
        if byte & 0x80 == 0 {
            *bytes = &bytes[n + 1..];
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn falling() -> impl Strategy<Value = Vec<PostId>> {
        prop::collection::vec(1..=PostId::MAX.0, 0..300).prop_map(|mut ids| {
            ids.sort_unstable_by(|a, b| b.cmp(a));
            ids.dedup();
            ids.into_iter().map(PostId).collect()
        })
    }

    proptest! {
        #[test]
        fn ids_survive_packing(ids in falling()) {
            let mut bytes = Vec::new();
            pack(ids.iter().copied(), &mut bytes);
            let mut unpacked = unpack(&bytes);
            prop_assert_eq!(unpacked.by_ref().collect::<Vec<_>>(), ids);
            prop_assert!(unpacked.is_exhausted());
        }

        #[test]
        fn ids_in_any_order_survive_packing_within_their_bound(
            ids in prop::collection::vec((0..=PostId::MAX.0).prop_map(PostId), 0..300)
        ) {
            let mut bytes = Vec::new();
            pack_unordered(&ids, &mut bytes);
            prop_assert!(bytes.len() <= unordered_bytes(ids.len()));
            prop_assert_eq!(unpack_unordered(&bytes, ids.len()), Some(ids.clone()));
            if !ids.is_empty() {
                prop_assert_eq!(unpack_unordered(&bytes, ids.len() - 1), None);
                prop_assert_eq!(unpack_unordered(&bytes[..bytes.len() - 1], ids.len()).filter(|part| *part == ids), None);
            }
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_ids_that_can_be(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let ids = unpack_unordered(&bytes, 20).unwrap_or_default();
            prop_assert!(ids.len() <= 20 && ids.iter().all(|id| *id <= PostId::MAX));
        }

        #[test]
        fn arbitrary_bytes_end_the_run_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(unpack(&bytes).count() <= bytes.len());
        }

        #[test]
        fn numbers_survive_wherever_they_stand(number in any::<u64>(), shift in 0..64u32, behind in 0..12usize) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            bytes.extend(std::iter::repeat_n(0xff, behind));
            let mut rest = &bytes[..];
            prop_assert_eq!(take_number(&mut rest), Some(number));
            prop_assert_eq!(rest.len(), behind);
            let mut slowly = Vec::new();
            put_number_slowly(&mut slowly, number);
            prop_assert_eq!(&bytes[..bytes.len() - behind], slowly, "as short as can be");
        }
    }
}
