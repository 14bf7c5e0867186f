//! The ring itself: entries `{post id, author's tag, previous of the same author}`, 16 bytes each, in log order.
//!
//! Each author's newest entry stands in a table of *heads*: lines of four, each author in one of two lines (two-choice
//! hashing: Azar, Broder, Karlin and Upfal, "Balanced Allocations", 1994). So nothing grows with the number of authors
//! ever seen, and no table of interned names has to be shared and locked. Where both lines of an author are full of
//! others, the floor rises until one of those has left the ring: the ring is as long as its authors let it be, which
//! is always safe. A head holds the id of its entry: a merge looks at one cache line for an author whose newest post
//! is too old to matter.
//!
//! Indices count entries from 1 and never repeat; what is stored of one are its low 32 bits. The writer keeps them
//! unambiguous by clearing, at each append, one line's heads that have left the ring.
//!
//! How a reader without locks stays right: everything is atomic words, and the writer raises the floor before it
//! overwrites what lies below. A reader that finds the floor still where it was, after it walked, has read nothing
//! overwritten; else it is [`Lapped`] and takes its entries elsewhere. (The order of a seqlock: H.-J. Boehm, "Can
//! seqlocks get along with programming language memory models?", MSPC 2012.)

mod writer;

#[cfg(not(tributary_loom))]
use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(tributary_loom))]
use std::thread;

#[cfg(tributary_loom)]
use loom::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering, fence},
    },
    thread,
};

use super::authors::Tag;
use crate::limits::RING_ENTRIES_MAX;
use crate::model::{Position, PostId};

pub use writer::RingWriter;

/// Heads in a line: 64 bytes, a cache line.
const LINE: usize = 4;
/// Entries for each line: a head an entry. Two-choice lines of four begin to overflow when they are half full, so a
/// ring is as long as it can be while its authors have two posts in it on average.
const LINE_SHARE: usize = 4;
/// 16 for the entry, 4 for its position in the log, and its share of a line of heads.
pub const BYTES_PER_ENTRY: usize = 16 + 4 + 64 / LINE_SHARE;
/// The floor rises by one part in so many of the ring at a time, so that readers rarely see it move.
const FLOOR_STEPS: u64 = 64;

// Differences of stored indices are taken in 32 bits: from an entry of the ring back to a head that was cleared late.
const _: () = assert!(RING_ENTRIES_MAX <= 1 << 29);

/// The ring was overwritten where it was being read, or does not reach back so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lapped;

struct Entry {
    id: AtomicU64,
    /// Tag in the high half; low half: the index of the author's previous entry, or its own where there is none.
    link: AtomicU64,
}

/// An author's newest entry.
struct Head {
    id: AtomicU64,
    /// Tag in the high half, index in the low half. [`NONE`], or [`BUSY`]: being written.
    link: AtomicU64,
}

#[repr(align(64))]
struct Line([Head; LINE]);

const NONE: u64 = 0;
/// Tag 0 belongs to nobody.
const BUSY: u64 = 1;

/// The ring, as its readers hold it.
pub type SharedRing = Arc<Ring>;

/// A recent ring. Readers share it.
pub struct Ring {
    entries: Box<[Entry]>,
    /// The low half of each entry's position in the log.
    positions: Box<[AtomicU32]>,
    lines: Box<[Line]>,
    /// One past the newest index.
    end: AtomicU64,
    /// The oldest index that may be read.
    floor: AtomicU64,
    /// The log up to here has been applied.
    position: AtomicU64,
    /// Every post after this position is in the ring.
    floor_position: AtomicU64,
}

/// What a reader sees of the ring at one moment: the entries of `(floor_position, position]`.
#[derive(Clone, Copy, Debug)]
pub struct Snapshot<'a> {
    pub(super) ring: &'a Ring,
    /// The log up to here is in the ring, or below its floor.
    pub position: Position,
    /// One past the newest index up to `position`.
    pub(super) end: u64,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("entries", &self.len()).field("position", &self.position()).finish_non_exhaustive()
    }
}

impl Head {
    fn none() -> Self {
        Self { id: AtomicU64::new(0), link: AtomicU64::new(NONE) }
    }

    /// The id and link, read together; none where the head does not belong to `tag`.
    fn read(&self, tag: Tag) -> Option<(PostId, u64)> {
        for tries in 0u32.. {
            let link = self.link.load(Ordering::Acquire);
            let id = self.id.load(Ordering::Relaxed);
            fence(Ordering::Acquire);
            if link != BUSY && (link >> 32) as u32 != tag.0 {
                return None;
            }
            if link != BUSY && self.link.load(Ordering::Relaxed) == link {
                return Some((PostId(id), link));
            }
            // The writer is between two stores; let it run if it lost its core there.
            if cfg!(tributary_loom) || tries > 64 {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
        None
    }
}

const fn pack(tag: Tag, index: u64) -> u64 {
    (tag.0 as u64) << 32 | (index & 0xffff_ffff)
}

/// The tag of a packed link, and the index it names, which lies within 2^31 of `near`.
pub(super) fn unpack(link: u64, near: u64) -> (Tag, u64) {
    let distance = (link as u32).wrapping_sub(near as u32) as i32;
    (Tag((link >> 32) as u32), near.wrapping_add_signed(i64::from(distance)))
}

impl Ring {
    /// A ring that takes at most `bytes` (and holds at least 2 entries), with the log up to `position` below its floor.
    pub fn new(bytes: usize, position: Position) -> (Arc<Self>, RingWriter) {
        Self::with_entries((bytes / BYTES_PER_ENTRY).clamp(2, RING_ENTRIES_MAX), position)
    }

    /// A ring of so many entries.
    pub fn with_entries(count: usize, position: Position) -> (Arc<Self>, RingWriter) {
        let ring = Arc::new(Self {
            entries: (0..count).map(|_| Entry { id: AtomicU64::new(0), link: AtomicU64::new(0) }).collect(),
            positions: (0..count).map(|_| AtomicU32::new(0)).collect(),
            lines: (0..count.div_ceil(LINE_SHARE) + 1).map(|_| Line(std::array::from_fn(|_| Head::none()))).collect(),
            end: AtomicU64::new(1),
            floor: AtomicU64::new(1),
            position: AtomicU64::new(position.0),
            floor_position: AtomicU64::new(position.0),
        });
        let writer = RingWriter::new(ring.clone(), position);
        (ring, writer)
    }

    /// The log up to here has been applied.
    pub fn position(&self) -> Position {
        Position(self.position.load(Ordering::Acquire))
    }

    /// Every post after this position (up to [`position`](Self::position)) is in the ring.
    pub fn floor_position(&self) -> Position {
        Position(self.floor_position.load(Ordering::Acquire))
    }

    /// The post that was logged first of those in it.
    pub fn oldest(&self) -> Option<PostId> {
        loop {
            let floor = self.floor.load(Ordering::Acquire);
            if floor >= self.end.load(Ordering::Acquire) {
                return None;
            }
            let (id, _) = self.entry(self.slot(floor));
            if self.still_holds(floor) {
                return Some(id);
            }
        }
    }

    /// Posts in it.
    pub fn len(&self) -> usize {
        let floor = self.floor.load(Ordering::Acquire);
        (self.end.load(Ordering::Acquire) - floor) as usize
    }

    /// Whether no post is in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Posts it can hold.
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.entries.len() * BYTES_PER_ENTRY
    }

    /// What can be read now.
    pub fn snapshot(&self) -> Snapshot<'_> {
        let position = self.position();
        let mut end = self.end.load(Ordering::Acquire);
        // The writer may have appended beyond the position it has published.
        let floor = self.floor.load(Ordering::Acquire);
        while end > floor && self.position_at(end - 1, position) > position {
            end -= 1;
        }
        Snapshot { ring: self, position, end }
    }

    pub(super) fn slot(&self, index: u64) -> usize {
        (index % self.entries.len() as u64) as usize
    }

    /// The id of an entry, and its link.
    pub(super) fn entry(&self, slot: usize) -> (PostId, u64) {
        let entry = &self.entries[slot];
        (PostId(entry.id.load(Ordering::Relaxed)), entry.link.load(Ordering::Relaxed))
    }

    /// The id and index (near `near`) of the newest entry of `tag`, where its head stands in its first (0) or second (1)
    /// line. A head that has left the ring may still be told; the author may then have one in the other line.
    #[inline]
    pub(super) fn head(&self, tag: Tag, line: usize, near: u64) -> Option<(PostId, u64)> {
        let heads = &self.lines[self.lines_of(tag)[line]].0;
        // Compared all at once: where in the line it stands cannot be foretold, and a wrong guess costs more than all
        // four comparisons.
        let (mut found, mut busy) = (0u32, false);
        for (n, head) in heads.iter().enumerate() {
            let link = head.link.load(Ordering::Relaxed);
            found |= u32::from((link >> 32) as u32 == tag.0) << n;
            busy |= link == BUSY;
        }
        let told = match heads.get(found.trailing_zeros() as usize) {
            Some(head) => head.read(tag),
            None if busy => heads.iter().find_map(|head| head.read(tag)),
            None => None,
        };
        told.map(|(id, link)| (id, unpack(link, near).1))
    }

    /// Fetches a line in which the author's head may stand. What it returns means nothing.
    #[inline]
    pub(super) fn touch(&self, tag: Tag, line: usize) -> u64 {
        self.lines[self.lines_of(tag)[line]].0[0].link.load(Ordering::Relaxed)
    }

    /// The two lines in which an author's head may stand. Reduced as by Lemire
    /// (<https://lemire.me/blog/2016/06/27/>): high bits choose, and rising tags rise in memory in the first.
    fn lines_of(&self, tag: Tag) -> [usize; 2] {
        let reduce = |hash: u32| ((u64::from(hash) * self.lines.len() as u64) >> 32) as usize;
        [reduce(tag.0), reduce(tag.0.wrapping_mul(0x85EB_CA6B).rotate_left(16).wrapping_mul(0xC2B2_AE35))]
    }

    pub(super) fn position_at(&self, index: u64, near: Position) -> Position {
        let low = self.positions[self.slot(index)].load(Ordering::Relaxed);
        Position(near.0.wrapping_add_signed(i64::from(low.wrapping_sub(near.0 as u32) as i32)))
    }

    /// Whether nothing at or above `index` has been overwritten by now. Ask after reading.
    pub(super) fn still_holds(&self, index: u64) -> bool {
        fence(Ordering::Acquire);
        self.floor.load(Ordering::Relaxed) <= index
    }
}

impl Snapshot<'_> {
    /// The ring as it was at `position`, which is not above the snapshot's.
    ///
    /// # Errors
    /// Where the ring does not reach back to it.
    pub fn upto(mut self, position: Position) -> Result<Self, Lapped> {
        if position < self.position {
            self.end = self.index_after(position)?;
            self.position = position;
        }
        Ok(self)
    }

    /// The first index after `position`: found from the newest end, where nearly all questions lie.
    pub(super) fn index_after(&self, position: Position) -> Result<u64, Lapped> {
        let floor = self.ring.floor.load(Ordering::Acquire);
        if position < self.ring.floor_position() {
            return Err(Lapped);
        }
        // A word that is overwritten meanwhile belongs to a later event, so it can only seem to be after `position`;
        // the index found then lies below the new floor, and the reader that goes on from there is lapped.
        let after = |index: u64| self.ring.position_at(index, self.position) > position;
        let (mut low, mut high, mut step) = (floor, self.end, 1);
        while low < high {
            let probe = high.saturating_sub(step).max(low);
            if after(probe) {
                high = probe;
                step *= 2;
            } else {
                low = probe + 1;
                break;
            }
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if after(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Ok(high)
    }
}
