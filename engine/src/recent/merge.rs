//! The merge: the newest posts of a set of authors out of the ring.
//!
//! Two ways, by what is fewer. Few posts since: scan them, test each author against the set. Few authors: look at
//! each author's newest post, keep the authors that can be on the page, and merge these with a heap. The textbook's
//! heap holds every author; here the bound of the page comes first, by selection, and a head carries its post's id, so
//! that an author who is not on the page costs one cache line.

use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::hint::black_box;

use super::authors::{AuthorSet, Tag};
use super::ring::{Lapped, Ring, Snapshot, unpack};
use crate::model::{Position, PostId};

/// A scan passes over so many entries in the time in which a walk looks up one author.
const SCAN_SHARE: u64 = 8;

/// Authors whose lines are fetched together: they stay in the first-level cache until they are looked at.
const TOUCHED: usize = 256;

/// Posts from the ring.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    /// Newest (highest id) first.
    pub ids: Vec<PostId>,
    /// They are all above this id.
    pub floor: PostId,
}

impl Snapshot<'_> {
    /// The newest posts logged in `(after, self.position]` by `authors`: all of them, or the newest `limit`, with the
    /// floor above which they are all. A tag's stranger may be among them.
    ///
    /// # Errors
    /// Where the ring does not reach back to `after`, or was overwritten meanwhile.
    pub fn newest(&self, authors: &AuthorSet, after: Position, limit: usize) -> Result<Recent, Lapped> {
        if after >= self.position || limit == 0 {
            return Ok(Recent::default());
        }
        black_box(authors.touch());
        let start = self.index_after(after)?;
        let mut recent = if (self.end - start) / SCAN_SHARE <= authors.tags().len() as u64 {
            self.scan(authors, start, limit)
        } else {
            self.walk(authors, start, limit)
        };
        if !self.ring.still_holds(start) {
            return Err(Lapped);
        }
        recent.ids.dedup();
        Ok(recent)
    }

    /// The newest posts of one author logged in `(after, self.position]`, as [`newest`](Self::newest).
    ///
    /// # Errors
    /// As [`newest`](Self::newest).
    pub fn of_author(&self, author: Tag, after: Position, limit: usize) -> Result<Recent, Lapped> {
        if after >= self.position || limit == 0 {
            return Ok(Recent::default());
        }
        let span = self.span(self.index_after(after)?);
        let mut ids = Vec::new();
        let mut next = span.head(author, 0).or_else(|| span.head(author, 1)).map_or(0, |(_, index)| index);
        while next != 0 && ids.len() <= limit {
            let (id, previous) = span.entry(next);
            ids.push(id);
            next = previous;
        }
        if !self.ring.still_holds(span.start) {
            return Err(Lapped);
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.dedup();
        Ok(cut(ids, limit))
    }

    fn scan(&self, authors: &AuthorSet, start: u64, limit: usize) -> Recent {
        let mut ids = Vec::new();
        let mut slot = self.ring.slot(start);
        for _ in start..self.end {
            let (id, link) = self.ring.entry(slot);
            if authors.has(Tag((link >> 32) as u32)) {
                ids.push(id);
            }
            slot = if slot + 1 == self.ring.capacity() { 0 } else { slot + 1 };
        }
        select(ids, limit)
    }

    fn walk(&self, authors: &AuthorSet, start: u64, limit: usize) -> Recent {
        let span = self.span(start);
        let mut heads: Vec<(PostId, u64)> = Vec::with_capacity(authors.tags().len());
        let mut elsewhere = Vec::with_capacity(TOUCHED);
        for some in authors.tags().chunks(TOUCHED) {
            // Where an author stands in a line cannot be foretold, and a wrong guess of the processor holds up every
            // load behind it. So the lines are fetched first, by loads that nothing waits for.
            black_box(some.iter().fold(0, |sum, &tag| sum ^ self.ring.touch(tag, 0)));
            for &tag in some {
                match span.head(tag, 0) {
                    Some(head) => heads.push(head),
                    None => elsewhere.push(tag),
                }
            }
            black_box(elsewhere.iter().fold(0, |sum, &tag| sum ^ self.ring.touch(tag, 1)));
            heads.extend(elsewhere.drain(..).filter_map(|tag| span.head(tag, 1)));
        }
        // Only the authors of the `limit` newest heads can be on the page, and the first of the others ends it.
        let mut floor = PostId::MIN;
        if heads.len() > limit {
            let (_, next, _) = heads.select_nth_unstable_by(limit, |a, b| b.cmp(a));
            floor = next.0;
            heads.truncate(limit);
        }
        // Each with the index of its author's post before it: loads that do not wait for each other.
        for (_, index) in &mut heads {
            *index = span.entry(*index).1;
        }
        let mut heap = BinaryHeap::from(heads);
        let mut ids = Vec::with_capacity(limit.min(1_024));
        while let Some(mut newest) = heap.peek_mut() {
            let (id, previous) = *newest;
            if ids.len() == limit || id < floor {
                floor = floor.max(id);
                break;
            }
            ids.push(id);
            if previous == 0 {
                PeekMut::pop(newest);
            } else {
                *newest = span.entry(previous);
            }
        }
        Recent { ids, floor }
    }

    fn span(&self, start: u64) -> Span<'_> {
        Span { ring: self.ring, start, start_slot: self.ring.slot(start), end: self.end }
    }
}

/// A range of indices. What leads out of it is cut off, also where the ring was overwritten meanwhile (which the caller
/// finds out afterwards).
struct Span<'a> {
    ring: &'a Ring,
    start: u64,
    start_slot: usize,
    end: u64,
}

impl Span<'_> {
    /// The id and index of the author's newest post in the range, if its head stands in its first (0) or second (1) line.
    #[inline]
    fn head(&self, author: Tag, line: usize) -> Option<(PostId, u64)> {
        let (id, mut index) = self.ring.head(author, line, self.start).filter(|(_, index)| *index >= self.start)?;
        if index < self.end {
            return Some((id, index));
        }
        // Logged after the range was told: the one before it counts.
        while index >= self.end {
            index = self.entry(index).1;
        }
        (index != 0).then(|| (self.entry(index).0, index))
    }

    /// The id at `index`, and the index of the same author's entry before it; 0 where that is out of the range.
    #[inline]
    fn entry(&self, index: u64) -> (PostId, u64) {
        let slot = self.start_slot as u64 + (index - self.start);
        let wrapped = if slot >= self.ring.capacity() as u64 { slot - self.ring.capacity() as u64 } else { slot };
        // The ring may have been overwritten further than once around.
        let (id, link) = self.ring.entry(if wrapped < self.ring.capacity() as u64 { wrapped as usize } else { 0 });
        let previous = unpack(link, index).1;
        (id, if previous >= self.start && previous < index { previous } else { 0 })
    }
}

/// The newest `limit` of `ids` (unordered, may repeat), and the floor above which they are all.
fn select(mut ids: Vec<PostId>, limit: usize) -> Recent {
    if ids.len() > limit + 1 {
        ids.select_nth_unstable_by(limit, |a, b| b.cmp(a));
        ids.truncate(limit + 1);
    }
    ids.sort_unstable_by(|a, b| b.cmp(a));
    cut(ids, limit)
}

fn cut(mut ids: Vec<PostId>, limit: usize) -> Recent {
    let floor = ids.get(limit).copied().unwrap_or(PostId::MIN);
    ids.truncate(limit);
    Recent { ids, floor }
}
