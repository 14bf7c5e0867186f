//! Authors as the ring knows them: 32-bit tags. Two authors may share one, so what the ring says of a tag may hold
//! posts of a stranger. That is harmless: pages are filtered by the hydrated posts' authors (law 5).

use crate::model::{FollowView, UserId};

/// An author's tag; never 0. Its high bits choose the author's first line of heads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Tag(pub(super) u32);

impl From<UserId> for Tag {
    fn from(author: UserId) -> Self {
        Self(((author.spread() >> 32) as u32).max(1))
    }
}

/// Bits of the filter for each author of a set: one entry in sixteen of the ring passes it by chance.
const FILTER_BITS: usize = 16;

/// The authors a reader follows, and the reader: as the ring's merge wants them.
#[derive(Clone, Debug, Default)]
pub struct AuthorSet {
    tags: Box<[Tag]>,
    /// A Bloom filter with one hash (the low bits of the tag), for scans.
    filter: Box<[u64]>,
}

impl AuthorSet {
    /// The set of these authors.
    pub fn new(authors: impl IntoIterator<Item = UserId>) -> Self {
        let mut tags: Vec<Tag> = authors.into_iter().map(Tag::from).collect();
        tags.sort_unstable();
        tags.dedup();
        let words = (tags.len() * FILTER_BITS / 64).next_power_of_two();
        let mut filter = vec![0u64; words];
        for tag in &tags {
            let bit = tag.0 as usize % (words * 64);
            filter[bit / 64] |= 1 << (bit % 64);
        }
        Self { tags: tags.into(), filter: filter.into() }
    }

    /// Those whom `reader`, whose view this is, follows, and `reader`.
    pub fn of(reader: UserId, view: &FollowView) -> Self {
        Self::new(view.follows.iter().map(|f| f.followee).chain([reader]))
    }

    /// The tags, rising: first lines are visited in the order in which they lie in memory.
    pub(super) fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether the set has this tag.
    #[inline]
    pub(super) fn has(&self, tag: Tag) -> bool {
        let bit = tag.0 as usize & (self.filter.len() * 64 - 1);
        self.filter[bit / 64] >> (bit % 64) & 1 == 1 && self.tags.binary_search(&tag).is_ok()
    }

    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.tags.len() * size_of::<Tag>() + self.filter.len() * 8
    }
}
