//! Windows as true statements, their strings, and the fold (laws 2 and 4).
//!
//! A *fill* says: "these are all pushed posts of the reader above the floor, up to the position, with the follows as
//! of the stamp." A *segment* says: "these are all pushed posts for the reader in (from, to], with the follows as of
//! the stamp." A window's string is one fill and any number of segments behind it. Both stay true when they are
//! repeated, copied, lost or overwritten by older ones; so nothing guards them. Reading unites the entries, and lets
//! the position rise over each segment that joins on.

use super::packed::{self, put_number, take_number};
use crate::limits::WINDOW_ENTRIES;
use crate::model::{Epoch, Position, PostId, Stamp};

const FILL: u8 = 0xF1;
const SEGMENT: u8 = 0x51;

/// A statement about one reader's pushed posts. It may hold other posts of the reader's timeline too: a merge with
/// what it holds anyway changes nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// The history it belongs to.
    pub epoch: Epoch,
    /// Nothing is said about this id and below.
    pub floor: PostId,
    /// The log up to here is in it.
    pub position: Position,
    /// A follow made at or after this may be missing from it.
    pub stamp: Stamp,
    /// The posts above the floor, newest first.
    pub entries: Vec<PostId>,
}

impl Window {
    /// Keeps the newest `count` entries and raises the floor over the others.
    pub fn cap(&mut self, count: usize) {
        if let Some(&dropped) = self.entries.get(count) {
            self.floor = self.floor.max(dropped);
            self.entries.truncate(count);
        }
    }

    /// Appends the string of this window, as one fill.
    pub fn encode(&self, out: &mut Vec<u8>) {
        frame(FILL, out, |out| {
            out.extend(self.epoch.0.to_le_bytes());
            for number in [self.floor.0, self.position.0, self.stamp.0] {
                put_number(out, number);
            }
            packed::pack(self.entries.iter().copied(), out);
        });
    }
}

/// What a segment says besides its entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// The history it belongs to.
    pub epoch: Epoch,
    /// It begins after this event.
    pub from: Position,
    /// It ends with this event.
    pub to: Position,
    /// A follow made at or after this may be missing from it.
    pub stamp: Stamp,
}

impl SegmentHeader {
    /// Appends the segment with `entries`, which fall strictly, newest first. Of more than a window holds it takes
    /// the newest: a segment of so many says nothing below its lowest entry.
    pub fn encode(&self, entries: impl IntoIterator<Item = PostId>, out: &mut Vec<u8>) {
        frame(SEGMENT, out, |out| {
            out.extend(self.epoch.0.to_le_bytes());
            for number in [self.from.0, self.to.0 - self.from.0, self.stamp.0] {
                put_number(out, number);
            }
            packed::pack(entries.into_iter().take(WINDOW_ENTRIES), out);
        });
    }
}

/// A kind byte, the length of what follows as two bytes (a window has at most 800 entries), and what follows.
fn frame(kind: u8, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.extend([kind, 0, 0]);
    let start = out.len();
    write(out);
    let length = u16::try_from(out.len() - start).expect("at most 800 entries of at most 12 bytes");
    out[start - 2..start].copy_from_slice(&length.to_le_bytes());
}

fn take_frame<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let [kind, low, high, rest @ ..] = *bytes else { return None };
    let (body, behind) = rest.split_at_checked(u16::from_le_bytes([*low, *high]) as usize)?;
    *bytes = behind;
    Some((*kind, body))
}

/// Epoch, three numbers, and the packed entries.
fn take_body(mut body: &[u8]) -> Option<(Epoch, [u64; 3], &[u8])> {
    let epoch = Epoch(u64::from_le_bytes(*body.first_chunk()?));
    body = &body[8..];
    let numbers = [take_number(&mut body)?, take_number(&mut body)?, take_number(&mut body)?];
    Some((epoch, numbers, body))
}

/// Unpacks `bytes` behind `entries`; false where they are malformed.
fn extend(entries: &mut Vec<PostId>, bytes: &[u8]) -> bool {
    let mut ids = packed::unpack(bytes);
    entries.extend(ids.by_ref());
    ids.is_exhausted()
}

/// The window that a string says, with the number of its segments. None where it is absent: no fill in front,
/// another epoch, or bytes that are not a window. A torn or foreign tail ends the string.
pub fn fold(mut string: &[u8], epoch: Epoch) -> Option<(Window, usize)> {
    let (FILL, body) = take_frame(&mut string)? else { return None };
    let (of, [floor, position, stamp], packed) = take_body(body)?;
    let mut window = Window {
        epoch,
        floor: PostId(floor),
        position: Position(position),
        stamp: Stamp(stamp),
        entries: Vec::with_capacity(WINDOW_ENTRIES + 64),
    };
    if of != epoch || !extend(&mut window.entries, packed) {
        return None;
    }
    let mut segments = 0;
    while let Some((SEGMENT, body)) = take_frame(&mut string) {
        let Some((of, [from, length, stamp], packed)) = take_body(body) else { break };
        if of != epoch {
            continue;
        }
        let filled = window.entries.len();
        if !extend(&mut window.entries, packed) {
            window.entries.truncate(filled);
            break;
        }
        segments += 1;
        if window.entries.len() - filled >= WINDOW_ENTRIES {
            let lowest = window.entries.last().map_or(0, |id| id.0);
            window.floor = window.floor.max(PostId(lowest.saturating_sub(1)));
        }
        let to = Position(from.saturating_add(length));
        if Position(from) <= window.position && to > window.position {
            window.position = to;
            window.stamp = window.stamp.min(Stamp(stamp));
        }
    }
    if segments > 0 {
        let floor = window.floor;
        window.entries.retain(|&id| id > floor);
        window.entries.sort_unstable_by(|a, b| b.cmp(a));
        window.entries.dedup();
        window.cap(WINDOW_ENTRIES);
    }
    Some((window, segments))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: Epoch = Epoch(7);

    fn ids(numbers: &[u64]) -> Vec<PostId> {
        numbers.iter().copied().map(PostId).collect()
    }

    fn filled(position: u64, stamp: u64, floor: u64, entries: &[u64]) -> Vec<u8> {
        let mut out = Vec::new();
        Window {
            epoch: EPOCH,
            floor: PostId(floor),
            position: Position(position),
            stamp: Stamp(stamp),
            entries: ids(entries),
        }
        .encode(&mut out);
        out
    }

    fn segment(from: u64, to: u64, stamp: u64, entries: &[u64], out: &mut Vec<u8>) {
        let header = SegmentHeader { epoch: EPOCH, from: Position(from), to: Position(to), stamp: Stamp(stamp) };
        header.encode(ids(entries), out);
    }

    #[test]
    fn the_position_rises_over_segments_that_join_and_the_stamp_is_their_lowest() {
        let mut string = filled(10, 50, 0, &[5, 3]);
        segment(8, 20, 40, &[9, 5], &mut string);
        segment(20, 30, 45, &[12], &mut string);
        let (window, segments) = fold(&string, EPOCH).unwrap();
        assert_eq!((window.position, window.stamp, segments), (Position(30), Stamp(40), 2));
        assert_eq!(window.entries, ids(&[12, 9, 5, 3]));
    }

    #[test]
    fn a_segment_that_does_not_join_gives_its_entries_but_not_its_position() {
        let mut string = filled(10, 50, 0, &[5]);
        segment(11, 20, 1, &[9], &mut string);
        let (window, _) = fold(&string, EPOCH).unwrap();
        assert_eq!((window.position, window.stamp), (Position(10), Stamp(50)));
        assert_eq!(window.entries, ids(&[9, 5]));
    }

    #[test]
    fn a_segment_that_adds_nothing_to_the_position_does_not_lower_the_stamp() {
        let mut string = filled(10, 50, 0, &[5]);
        segment(2, 10, 1, &[4], &mut string);
        assert_eq!(fold(&string, EPOCH).unwrap().0.stamp, Stamp(50));
    }

    #[test]
    fn nothing_below_the_floor_is_taken_and_the_cap_raises_the_floor() {
        let mut string = filled(10, 50, 100, &[200]);
        segment(10, 20, 50, &[300, 100, 99], &mut string);
        assert_eq!(fold(&string, EPOCH).unwrap().0.entries, ids(&[300, 200]));
        let many: Vec<u64> = (0..WINDOW_ENTRIES as u64 + 5).rev().map(|n| 1_000 + n).collect();
        segment(20, 30, 50, &many[..400], &mut string);
        segment(30, 40, 50, &many[400..], &mut string);
        let (window, _) = fold(&string, EPOCH).unwrap();
        assert_eq!(window.entries.len(), WINDOW_ENTRIES);
        assert_eq!(window.floor, PostId(1_004));
        assert_eq!(window.entries.last(), Some(&PostId(1_005)));
    }

    #[test]
    fn a_segment_with_more_than_a_window_holds_says_nothing_below_what_it_kept() {
        let mut string = filled(10, 50, 0, &[2]);
        let many: Vec<u64> = (1..=WINDOW_ENTRIES as u64 + 1).rev().map(|n| 10 * n).collect();
        segment(10, 20, 50, &many, &mut string);
        let (window, _) = fold(&string, EPOCH).unwrap();
        assert_eq!(window.entries, ids(&many[..WINDOW_ENTRIES]));
        assert_eq!(window.floor, PostId(19));
    }

    #[test]
    fn another_epoch_a_missing_fill_and_foreign_bytes_are_absent() {
        assert_eq!(fold(&filled(1, 1, 0, &[5]), Epoch(8)), None);
        let mut orphan = Vec::new();
        segment(0, 5, 1, &[5], &mut orphan);
        assert_eq!(fold(&orphan, EPOCH), None);
        assert_eq!(fold(b"hello", EPOCH), None);
        assert_eq!(fold(b"", EPOCH), None);
    }

    proptest! {
        #[test]
        fn a_torn_string_is_absent_or_says_less(cut in 0..200usize) {
            let mut string = filled(10, 50, 0, &[5, 3]);
            segment(10, 20, 50, &[9], &mut string);
            segment(20, 30, 50, &[12], &mut string);
            let whole = fold(&string, EPOCH).unwrap().0;
            string.truncate(cut);
            if let Some((window, _)) = fold(&string, EPOCH) {
                prop_assert!(window.position <= whole.position);
                prop_assert!(window.entries.iter().all(|id| whole.entries.contains(id)));
                let complete = match window.position.0 { 10 => 2, 20 => 3, _ => 4 };
                prop_assert_eq!(window.entries.len(), complete);
            }
        }

        #[test]
        fn folding_arbitrary_bytes_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut string = filled(10, 50, 0, &[5, 3]);
            string.extend(bytes);
            fold(&string, EPOCH);
        }
    }
}
