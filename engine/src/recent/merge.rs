//! The merge: the newest posts of a set of authors out of the ring.
//!
//! Two ways, by what is fewer. Few posts since: scan them, test each author against the set. Few authors: look at
//! each author's newest post, keep the authors that can be on the page, and walk only these. A heap over all chains,
//! the textbook's way, touches every author's entry; here the bound of the page comes first, by selection.

use super::authors::{AuthorSet, Tag};
use super::ring::{Lapped, Ring, Snapshot, unpack};
use crate::model::{Position, PostId};

/// A scan passes over so many entries in the time in which a walk looks up one author.
const SCAN_SHARE: u64 = 8;

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
        let start = self.index_after(after)?;
        let newest = self.ring.newest(author, start).map_or(0, |(_, index)| index);
        let mut ids: Vec<PostId> = self.chain_from(newest, start).map(|(id, _)| id).take(limit + 1).collect();
        if !self.ring.still_holds(start) {
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
        let mut heads: Vec<(PostId, u64)> = Vec::with_capacity(authors.tags().len());
        for &tag in authors.tags() {
            if let Some((id, index)) = self.ring.newest(tag, start)
                && index >= start
            {
                if index < self.end {
                    heads.push((id, index));
                } else {
                    // Logged after this snapshot was taken: the ones before it count.
                    heads.extend(self.chain_from(index, start).next());
                }
            }
        }
        // A page of `limit` posts ends at or above the `limit`-th newest head.
        let mut bound = PostId::MIN;
        if heads.len() >= limit {
            let (_, last, _) = heads.select_nth_unstable_by(limit - 1, |a, b| b.0.cmp(&a.0));
            bound = last.0;
            heads.truncate(limit);
        }
        let mut ids = Vec::with_capacity(2 * heads.len());
        for (_, index) in heads {
            // One author's ids fall along its chain, and not more than a page of them can be on the page.
            let chain = self.chain_from(index, start).map(|(id, _)| id);
            ids.extend(chain.take_while(|id| *id >= bound).take(limit + 1));
        }
        let mut recent = select(ids, limit);
        if recent.floor == PostId::MIN && bound > PostId::MIN {
            recent.floor = PostId(bound.0 - 1);
        }
        recent
    }

    /// The author's entries from `index` back to `start`.
    fn chain_from(&self, index: u64, start: u64) -> Chain<'_> {
        let slot = if index >= start { self.ring.slot(index) } else { 0 };
        Chain { ring: self.ring, index, slot, start, end: self.end }
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

/// One author's entries, newest first, by their links. Ends where it leaves the range, or where the ring was
/// overwritten under it (which the caller finds out afterwards).
struct Chain<'a> {
    ring: &'a Ring,
    index: u64,
    slot: usize,
    start: u64,
    end: u64,
}

impl Iterator for Chain<'_> {
    type Item = (PostId, u64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while self.index >= self.start {
            let (id, link) = self.ring.entry(self.slot);
            let (_, previous) = unpack(link, self.index);
            let here = self.index;
            let back = here.wrapping_sub(previous) as usize;
            self.index = 0;
            if previous < here && previous >= self.start && back <= self.ring.capacity() {
                self.slot = if back <= self.slot { self.slot - back } else { self.slot + self.ring.capacity() - back };
                self.index = previous;
            }
            if here < self.end {
                return Some((id, here));
            }
        }
        None
    }
}
