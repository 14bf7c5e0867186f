//! The ids of imported users and posts: a pure function of the world, so that an import can be interrupted,
//! resumed and repeated, and a test can name them.
//!
//! A user's id comes from its index. A post's id keeps the post's second; within a second ids rise in the order of
//! the file, and so does everything that is sorted by id.

use anyhow::{Result, ensure};
use tributary_engine::limits::LOGICAL_SHARDS;
use tributary_engine::model::{Millis, PostId, UserId};

use crate::world::{FIRST_SECOND, PostRecord};

/// Sequence numbers of a millisecond and shard.
const SEQUENCES: u16 = 4_096;

/// The id of the user with this index. Ids rise with indices, and users are dealt out to the logical shards in turn.
/// They lie in the first hours of 2010, before every post and everybody who signs up.
pub fn user_id(index: u32) -> UserId {
    let shards = u32::from(LOGICAL_SHARDS);
    // Not millisecond 0, whose first id would be 0.
    let at = Millis(FIRST_SECOND * 1_000 + 1 + u64::from(index / shards));
    UserId::new(at, (index % shards) as u16, 0)
}

/// Gives posts their ids, in the order of the file: each the lowest above the last that its author's shard allows.
#[derive(Clone, Copy, Debug, Default)]
pub struct PostIds {
    second: u64,
    /// The last id: milliseconds into the second, shard, sequence.
    last: Option<(u64, u16, u16)>,
}

impl PostIds {
    /// The id of the next post.
    ///
    /// # Errors
    /// When a second has more posts than it has room for: over two thousand by random authors, four million by one.
    pub fn next(&mut self, post: PostRecord) -> Result<PostId> {
        let shard = user_id(post.author).shard();
        if post.second != self.second {
            *self = Self { second: post.second, last: None };
        }
        let (ms, sequence) = match self.last {
            None => (0, 0),
            Some((ms, last, _)) if shard > last => (ms, 0),
            Some((ms, last, sequence)) if shard == last && sequence + 1 < SEQUENCES => (ms, sequence + 1),
            Some((ms, ..)) => (ms + 1, 0),
        };
        ensure!(ms < 1_000, "second {} has more posts than its ids can tell apart", post.second);
        self.last = Some((ms, shard, sequence));
        Ok(PostId::new(Millis(post.second * 1_000 + ms), shard, sequence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_ids_are_unique_rise_and_are_spread_over_the_shards() {
        let mut last = UserId(0);
        let mut shards = vec![0u32; usize::from(LOGICAL_SHARDS)];
        for index in 0..100 * u32::from(LOGICAL_SHARDS) {
            let id = user_id(index);
            assert!(id > last);
            shards[usize::from(id.shard())] += 1;
            last = id;
        }
        assert!(shards.iter().all(|&count| count == 100));
        assert!(user_id(u32::MAX).created_at() < Millis((FIRST_SECOND + 86_400) * 1_000));
    }

    #[test]
    fn post_ids_keep_the_second_and_the_order_of_the_file() {
        let mut rng = fastrand::Rng::with_seed(2);
        let (mut ids, mut last, mut second) = (PostIds::default(), PostId::MIN, 1_300_000_000);
        for _ in 0..200_000 {
            // Mostly many posts a second, some by one author.
            second += u64::from(rng.u32(..100) == 0);
            let author = if rng.bool() { rng.u32(..10_000) } else { 7 };
            let id = ids.next(PostRecord { second, author }).unwrap();
            assert!(id > last && id.created_at().0 / 1_000 == second && id.shard() == user_id(author).shard());
            last = id;
        }
    }

    #[test]
    fn a_second_without_room_is_an_error() {
        let mut ids = PostIds::default();
        // Falling shards: a millisecond each.
        let posts = (0..1_001).rev().map(|author| PostRecord { second: 1_300_000_000, author });
        let outcomes: Vec<bool> = posts.map(|post| ids.next(post).is_ok()).collect();
        assert_eq!(outcomes.iter().position(|ok| !ok), Some(1_000));
        assert!(ids.next(PostRecord { second: 1_300_000_001, author: 3 }).is_ok());
    }
}
