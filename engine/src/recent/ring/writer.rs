//! The ring's one writer. It raises the floor before it overwrites what lies below, and makes room in the lines of
//! heads; in which order its stores must be seen is told in the parent module.

#[cfg(not(tributary_loom))]
use std::sync::{
    Arc,
    atomic::{Ordering, fence},
};

#[cfg(tributary_loom)]
use loom::sync::{
    Arc,
    atomic::{Ordering, fence},
};

use super::{BUSY, FLOOR_STEPS, Head, NONE, Ring, Tag, pack, unpack};
use crate::model::{Position, PostId, UserId};

/// The one who appends.
pub struct RingWriter {
    ring: Arc<Ring>,
    end: u64,
    floor: u64,
    position: Position,
}

impl RingWriter {
    /// The writer of an empty ring.
    pub(super) fn new(ring: Arc<Ring>, position: Position) -> Self {
        Self { ring, end: 1, floor: 1, position }
    }

    /// The ring it writes.
    pub fn ring(&self) -> &Arc<Ring> {
        &self.ring
    }

    /// The log up to here has been applied.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Appends the post of the event at `position`, which is higher than every one before.
    pub fn append(&mut self, position: Position, post: PostId, author: UserId) {
        debug_assert!(position > self.position, "positions rise");
        let shared = self.ring.clone();
        let ring = &*shared;
        let (index, tag) = (self.end, Tag::from(author));
        self.make_room(position);
        self.tidy(index);
        let head = self.claim(ring, tag, index);

        let (owner, previous) = unpack(head.link.load(Ordering::Relaxed), index);
        let previous = if owner == tag && previous >= self.floor { previous } else { index };
        let slot = ring.slot(index);
        ring.entries[slot].id.store(post.0, Ordering::Relaxed);
        ring.entries[slot].link.store(pack(tag, previous), Ordering::Relaxed);
        ring.positions[slot].store(position.0 as u32, Ordering::Relaxed);
        // Whoever sees the new id of the head sees that it was busy, or the new link.
        head.link.store(BUSY, Ordering::Relaxed);
        fence(Ordering::Release);
        head.id.store(post.0, Ordering::Relaxed);
        head.link.store(pack(tag, index), Ordering::Release);

        self.end = index + 1;
        ring.end.store(self.end, Ordering::Release);
        self.advance(position);
    }

    /// The log up to `position` has been applied: events that are no posts move the ring on as well.
    pub fn advance(&mut self, position: Position) {
        self.position = position;
        self.ring.position.store(position.0, Ordering::Release);
    }

    /// What lies at or below `position` is incomplete (a hole in the log): nothing may rely on it any more.
    pub fn raise_floor(&mut self, position: Position) {
        let mut floor = self.floor;
        while floor < self.end && self.ring.position_at(floor, self.position) <= position {
            floor += 1;
        }
        self.set_floor(floor, position);
    }

    /// Frees the slot of the next entry, and keeps positions within 2^31 of each other.
    fn make_room(&mut self, position: Position) {
        let capacity = self.ring.capacity() as u64;
        let mut floor = self.floor;
        if self.end - floor >= capacity {
            floor += (capacity / FLOOR_STEPS).max(1);
        }
        while floor < self.end && position.0 - self.ring.position_at(floor, self.position).0 >= 1 << 31 {
            floor += 1;
        }
        if floor > self.floor {
            let below = self.ring.position_at(floor - 1, self.position);
            self.set_floor(floor, below);
        }
    }

    fn set_floor(&mut self, floor: u64, position: Position) {
        self.floor = floor;
        let position = position.0.max(self.ring.floor_position.load(Ordering::Relaxed));
        // First the position, so that a reader who finds it low enough finds the index low enough, or is lapped.
        self.ring.floor_position.store(position, Ordering::Release);
        self.ring.floor.store(floor, Ordering::Release);
        // A reader that sees anything written after this sees the floor.
        fence(Ordering::Release);
    }

    /// The head of `tag`, or a free one in its lines, made free where there is none.
    fn claim<'a>(&mut self, ring: &'a Ring, tag: Tag, index: u64) -> &'a Head {
        let lines = ring.lines_of(tag).map(|line| &ring.lines[line].0);
        let read = |head: &Head| unpack(head.link.load(Ordering::Relaxed), index);
        let floor = self.floor;
        let live = |head: &Head| head.link.load(Ordering::Relaxed) != NONE && read(head).1 >= floor;
        let both = || lines.iter().flat_map(|line| line.iter());
        if let Some(own) = both().find(|head| live(head) && read(head).0 == tag) {
            return own;
        }
        // The first line while it is nearly empty, so that most are found there; else the emptier one.
        let counts = lines.map(|line| line.iter().filter(|head| live(head)).count());
        let line = lines[usize::from(counts[0] > 1 && counts[1] < counts[0])];
        if let Some(free) = line.iter().find(|head| !live(head)) {
            return free;
        }
        let oldest = both().min_by_key(|head| read(head).1).expect("a line has heads");
        let below = read(oldest).1;
        self.set_floor(below + 1, ring.position_at(below, self.position));
        oldest
    }

    /// Clears the heads of one line that have left the ring; each line has its turn within a quarter of the ring.
    fn tidy(&self, index: u64) {
        for head in &self.ring.lines[(index % self.ring.lines.len() as u64) as usize].0 {
            let link = head.link.load(Ordering::Relaxed);
            if link != NONE && unpack(link, index).1 < self.floor {
                head.link.store(NONE, Ordering::Release);
            }
        }
    }
}
