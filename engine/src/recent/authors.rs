//! Authors as the ring knows them: 32-bit tags. Two authors may share one, so what the ring says of a tag may hold
//! posts of a stranger. That is harmless: pages are filtered by the hydrated posts' authors (law 5).

use crate::model::{FollowView, UserId};

/// An author's tag; never 0. Its high bits choose the author's first line of heads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(pub(super) u32);

impl From<UserId> for Tag {
    fn from(author: UserId) -> Self {
        Self(((author.spread() >> 32) as u32).max(1))
    }
}

impl Tag {
    /// Its three bits in a word of a filter.
    fn bits(self) -> u64 {
        1 << (self.0 & 63) | 1 << (self.0 >> 6 & 63) | 1 << (self.0 >> 12 & 63)
    }
}

/// Bits of the filter for each author of a set: about one stranger in a hundred passes it.
const FILTER_BITS: usize = 16;

/// The authors a reader follows, and the reader: as the ring's merge wants them.
#[derive(Clone, Debug, Default)]
pub struct AuthorSet {
    tags: Box<[Tag]>,
    /// A blocked Bloom filter, for scans: three bits in one word for each tag (F. Putze, P. Sanders, J. Singler,
    /// "Cache-, hash- and space-efficient Bloom filters", 2007).
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
            filter[tag.0 as usize >> 18 & (words - 1)] |= tag.bits();
        }
        Self { tags: tags.into(), filter: filter.into() }
    }

    /// Those whom `reader`, whose view this is, follows, and `reader`.
    pub fn of(reader: UserId, view: &FollowView) -> Self {
        Self::new(view.follows.iter().map(|f| f.followee).chain([reader]))
    }

    /// The tags, rising: first lines are visited in the order in which they lie in memory.
    pub fn tags(&self) -> &[Tag] {
        &self.tags
    }

    /// Whether the set has this tag.
    #[inline]
    pub(super) fn has(&self, tag: Tag) -> bool {
        let (word, bits) = (self.filter[tag.0 as usize >> 18 & (self.filter.len() - 1)], tag.bits());
        word & bits == bits && self.holds(tag)
    }

    /// Tags are spread evenly, so that where one stands is nearly known: few cache lines are touched, not a search's.
    fn holds(&self, tag: Tag) -> bool {
        let guess = (u64::from(tag.0) * self.tags.len() as u64) >> 32;
        let (below, above) = self.tags.split_at(guess as usize);
        above.iter().take_while(|other| **other <= tag).any(|other| *other == tag)
            || below.iter().rev().take_while(|other| **other >= tag).any(|other| *other == tag)
    }

    /// Fetches the filter, by loads that do not wait for each other. What it returns means nothing.
    pub(super) fn touch(&self) -> u64 {
        self.filter.iter().step_by(8).fold(0, |sum, word| sum ^ word)
    }

    /// Bytes it takes in memory.
    pub fn weight(&self) -> usize {
        self.tags.len() * size_of::<Tag>() + self.filter.len() * 8
    }
}
