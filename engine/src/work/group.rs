//! Grouping a round's posts by reader: the inner loop of fan-out.
//!
//! Two passes over (author, follower), as in a counting sort: count each reader's posts, then scatter the posts'
//! places into one array, newest first. Readers are dense numbers, so that both are array accesses; a hash look-up
//! is paid once an author and follower, not once a delivery.

use crate::model::PostId;

/// An author's posts of a round and the readers who get them.
#[derive(Clone, Debug)]
pub struct Audience {
    /// Dense numbers of the readers.
    pub readers: Vec<u32>,
    /// The author's posts.
    pub posts: Vec<PostId>,
}

/// Scratch space of grouping, kept from round to round.
#[derive(Debug, Default)]
pub struct Group {
    /// For each reader: in the first pass its number of posts, in the second where its next one goes.
    cursors: Vec<u32>,
    touched: Vec<u32>,
    posts: Vec<(PostId, u32)>,
    /// Places in `posts`: ids would spare a look-up, but are twice as much to write, and slower.
    scattered: Vec<u32>,
}

/// A reader's posts of a round, newest first.
#[derive(Debug)]
pub struct Posts<'a> {
    places: std::slice::Iter<'a, u32>,
    posts: &'a [(PostId, u32)],
}

impl Iterator for Posts<'_> {
    type Item = PostId;

    #[inline]
    fn next(&mut self) -> Option<PostId> {
        self.places.next().map(|&place| self.posts[place as usize].0)
    }
}

impl Group {
    /// Groups the round and gives each reader with posts, in no order, its posts, newest first, to `each`.
    /// `readers` is one past the highest number. Returns the deliveries: pairs of reader and post.
    pub fn by_reader(&mut self, audiences: &[Audience], readers: usize, mut each: impl FnMut(u32, Posts<'_>)) -> u64 {
        self.cursors.resize(readers, 0);
        self.touched.clear();
        self.posts.clear();
        let mut pairs = 0u64;
        for (author, audience) in audiences.iter().enumerate() {
            let count = audience.posts.len() as u32;
            self.posts.extend(audience.posts.iter().map(|&post| (post, author as u32)));
            if count == 0 {
                continue;
            }
            for &reader in &audience.readers {
                let cursor = &mut self.cursors[reader as usize];
                if *cursor == 0 {
                    self.touched.push(reader);
                }
                *cursor += count;
            }
            pairs += u64::from(count) * audience.readers.len() as u64;
        }
        self.posts.sort_unstable_by(|a, b| b.cmp(a));
        self.scatter(audiences, pairs);

        let mut start = 0;
        for &reader in &self.touched {
            let cursor = &mut self.cursors[reader as usize];
            let end = *cursor as usize;
            *cursor = 0;
            each(reader, Posts { places: self.scattered[start..end].iter(), posts: &self.posts });
            start = end;
        }
        pairs
    }

    fn scatter(&mut self, audiences: &[Audience], pairs: u64) {
        let mut start = 0;
        for &reader in &self.touched {
            let cursor = &mut self.cursors[reader as usize];
            let count = *cursor;
            *cursor = start;
            start += count;
        }
        self.scattered.resize(self.scattered.len().max(pairs as usize), 0);
        for (place, &(_, author)) in self.posts.iter().enumerate() {
            for &reader in &audiences[author as usize].readers {
                let cursor = &mut self.cursors[reader as usize];
                self.scattered[*cursor as usize] = place as u32;
                *cursor += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_reader_gets_its_posts_newest_first(
            rounds in prop::collection::vec(prop::collection::vec((prop::collection::btree_set(0..50u32, 0..30), 0..6usize), 0..20), 1..4),
        ) {
            let mut group = Group::default();
            let mut next = 1;
            for round in rounds {
                let audiences: Vec<Audience> = round.into_iter().map(|(readers, count)| {
                    let posts = (0..count).map(|n| PostId(next + n as u64 * 7)).collect();
                    next += 3 + count as u64;
                    Audience { readers: readers.into_iter().collect(), posts }
                }).collect();
                let mut expected: BTreeMap<u32, Vec<PostId>> = BTreeMap::new();
                for audience in &audiences {
                    for reader in &audience.readers {
                        expected.entry(*reader).or_default().extend(&audience.posts);
                    }
                }
                expected.retain(|_, posts| !posts.is_empty());
                expected.values_mut().for_each(|posts| posts.sort_unstable_by(|a, b| b.cmp(a)));
                let mut got = BTreeMap::new();
                let pairs = group.by_reader(&audiences, 50, |reader, posts| {
                    got.insert(reader, posts.collect::<Vec<_>>());
                });
                prop_assert_eq!(pairs, expected.values().map(|posts| posts.len() as u64).sum::<u64>());
                prop_assert_eq!(got, expected);
            }
        }
    }
}
