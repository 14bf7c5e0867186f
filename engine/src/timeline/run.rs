//! A run of posts, packed: the merged home timeline of an active reader (L1), or the stream of an author. Itself a
//! true statement (law 2): complete above its floor, up to its position, whatever the posts' channels.
//!
//! Most of it is packed. What the ring brings goes into a short unpacked tail first, so that bringing a run forward
//! costs what is new and not what is there.

use super::packed;
use super::window::Window;
use crate::limits::{L1_TAIL_ENTRIES, WINDOW_ENTRIES};
use crate::model::{Epoch, Position, PostId, Stamp};

/// The newest posts of somebody, complete above the floor up to the position for the follows as of the stamp.
#[derive(Clone, Debug)]
pub struct Run {
    floor: PostId,
    position: Position,
    stamp: Stamp,
    /// Newest first; no id stands in both.
    tail: Vec<PostId>,
    packed: Box<[u8]>,
}

impl Run {
    /// The run that a (merged) window says.
    pub fn new(window: &Window) -> Self {
        let mut bytes = Vec::with_capacity(window.entries.len() * 6);
        packed::pack(window.entries.iter().copied(), &mut bytes);
        Self {
            floor: window.floor,
            position: window.position,
            stamp: window.stamp,
            tail: Vec::new(),
            packed: bytes.into(),
        }
    }

    /// Nothing is said about this id and below.
    pub fn floor(&self) -> PostId {
        self.floor
    }

    /// The log up to here is in it.
    pub fn position(&self) -> Position {
        self.position
    }

    /// A follow made at or after this may be missing from it.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.tail.capacity() * size_of::<PostId>() + self.packed.len()
    }

    /// Every entry, newest first.
    pub fn entries(&self) -> impl Iterator<Item = PostId> {
        let mut tail = self.tail.iter().copied().peekable();
        let mut packed = packed::unpack(&self.packed).peekable();
        std::iter::from_fn(move || match (tail.peek(), packed.peek()) {
            (Some(a), Some(b)) if a > b => tail.next(),
            (_, Some(_)) => packed.next(),
            (_, None) => tail.next(),
        })
    }

    /// Brings it forward: `ids` (newest first) are all posts in (its position, `position`] by the followees of a view
    /// of `stamp`, and all posts of late followees; or a part of them that is complete above `floor`.
    /// Returns whether it was packed anew, so that its weight has changed.
    pub fn advance(&mut self, ids: &[PostId], floor: PostId, position: Position, stamp: Stamp) -> bool {
        self.position = position;
        self.stamp = stamp;
        let news = |run: &Self| ids.iter().copied().filter(|id| *id > run.floor).count();
        if floor <= self.floor && self.tail.len() + news(self) <= L1_TAIL_ENTRIES {
            for &id in ids.iter().filter(|id| **id > self.floor) {
                if let Err(at) = self.tail.binary_search_by(|other| id.cmp(other)) {
                    // An id that was packed already stays there alone: the two runs are disjoint.
                    if !self.packs(id) {
                        self.tail.insert(at, id);
                    }
                }
            }
            return false;
        }
        let mut window = self.to_window(Epoch::default());
        window.floor = window.floor.max(floor);
        window.entries.extend_from_slice(ids);
        window.entries.retain(|id| *id > window.floor);
        window.entries.sort_unstable_by(|a, b| b.cmp(a));
        window.entries.dedup();
        window.cap(WINDOW_ENTRIES);
        *self = Self::new(&window);
        true
    }

    /// The statement as a window, to be saved.
    pub fn to_window(&self, epoch: Epoch) -> Window {
        Window {
            epoch,
            floor: self.floor,
            position: self.position,
            stamp: self.stamp,
            entries: self.entries().collect(),
        }
    }

    fn packs(&self, id: PostId) -> bool {
        packed::unpack(&self.packed).take_while(|other| *other >= id).last() == Some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bringing_forward_unites(first in prop::collection::btree_set(1..5_000u64, 0..900),
                                   later in prop::collection::vec(prop::collection::btree_set(1..6_000u64, 0..90), 0..12)) {
            let newest_first = |set: &BTreeSet<u64>| set.iter().rev().copied().map(PostId).collect::<Vec<_>>();
            let mut window = Window {
                epoch: Epoch(1), floor: PostId::MIN, position: Position(1), stamp: Stamp(1), entries: newest_first(&first),
            };
            window.cap(WINDOW_ENTRIES);
            let mut run = Run::new(&window);
            let mut truth = first;
            for (n, news) in later.iter().enumerate() {
                run.advance(&newest_first(news), PostId::MIN, Position(2 + n as u64), Stamp(1));
                truth.extend(news);
                let kept = run.entries().collect::<Vec<_>>();
                let expected = truth.iter().rev().map(|n| PostId(*n)).filter(|id| *id > run.floor()).collect::<Vec<_>>();
                prop_assert_eq!(&kept, &expected);
                prop_assert!(kept.len() >= truth.len().min(WINDOW_ENTRIES) && kept.len() <= WINDOW_ENTRIES + L1_TAIL_ENTRIES);
            }
        }
    }
}
