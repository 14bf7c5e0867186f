//! Sampled readers, and what the world says of them: whom they follow, and what those posted. Chosen before the world
//! is read, so that one pass keeps what is needed and nothing else (law 9).

use anyhow::Result;
use rustc_hash::{FxHashMap, FxHashSet};
use tributary_engine::model::{PostId, UserId};

use crate::import::{PostIds, user_id};
use crate::world::PostRecord;

/// Sampled readers are looked for among so many for each that is wanted: some may have been changed by earlier runs.
const CANDIDATES: usize = 4;
/// Nobody who follows more is sampled, and all together follow at most so many.
const FOLLOWS_MAX: usize = 2_000;
const FOLLOWS_SUM_MAX: usize = 20_000;

/// A sampled reader.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Index in the world.
    pub user: u32,
    /// The id in the store.
    pub id: UserId,
    /// Whom the world says that the reader follows, by rising id.
    pub follows: Vec<UserId>,
}

/// Sampled readers, and the world's posts by them and those whom they follow.
#[derive(Default)]
pub struct Sample {
    wanted: usize,
    candidates: FxHashSet<u32>,
    follows_sum: usize,
    ids: PostIds,
    /// By rising index.
    pub readers: Vec<Reader>,
    /// Posts by each author who matters, by rising id.
    pub posts: FxHashMap<UserId, Vec<PostId>>,
}

impl Sample {
    /// Of `wanted` readers.
    pub fn new(wanted: usize) -> Self {
        Self { wanted, ..Self::default() }
    }

    /// Of nobody.
    pub fn none() -> Self {
        Self::new(0)
    }

    /// The sampled reader with this index.
    pub fn reader(&self, user: u32) -> Option<&Reader> {
        self.readers.binary_search_by_key(&user, |reader| reader.user).ok().map(|place| &self.readers[place])
    }

    /// How many readers are wanted. There are more, in case that some do not fit.
    pub fn wanted(&self) -> usize {
        self.wanted
    }

    /// Chooses candidates at even distances among those who read.
    pub fn choose_from(&mut self, readers: &[u32]) {
        let wanted = (self.wanted * CANDIDATES).min(readers.len());
        self.candidates = (0..wanted).map(|n| readers[n * readers.len() / wanted]).collect();
    }

    /// Takes what it needs of whom a user follows.
    pub fn follower(&mut self, follower: u32, followees: &[u32]) {
        let fits = followees.len() <= FOLLOWS_MAX && self.follows_sum + followees.len() <= FOLLOWS_SUM_MAX;
        if !fits || !self.candidates.contains(&follower) {
            return;
        }
        self.follows_sum += followees.len();
        let follows: Vec<UserId> = followees.iter().map(|&followee| user_id(followee)).collect();
        for &author in follows.iter().chain([&user_id(follower)]) {
            self.posts.entry(author).or_default();
        }
        self.readers.push(Reader { user: follower, id: user_id(follower), follows });
    }

    /// Takes what it needs of a post. All posts have to come, in the order of the file: their ids depend on it.
    ///
    /// # Errors
    /// When the world cannot have been imported.
    pub fn post(&mut self, post: PostRecord) -> Result<()> {
        if self.posts.is_empty() {
            return Ok(());
        }
        let id = self.ids.next(post)?;
        if let Some(posts) = self.posts.get_mut(&user_id(post.author)) {
            posts.push(id);
        }
        Ok(())
    }

    /// Keeps the first `wanted` readers of those at these places.
    pub fn keep(&mut self, fitting: &[usize]) {
        let mut place = 0;
        self.readers.retain(|_| {
            place += 1;
            fitting.contains(&(place - 1))
        });
        self.readers.truncate(self.wanted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_its_readers_follows_and_their_posts() {
        let mut sample = Sample::new(1);
        sample.choose_from(&[3, 5, 8, 9, 11, 12, 13, 14]);
        for follower in [3, 4, 8, 11] {
            sample.follower(follower, &[1, 2]);
        }
        assert_eq!(sample.readers.iter().map(|reader| reader.user).collect::<Vec<_>>(), [3, 8, 11]);
        for author in [1, 6, 2, 1] {
            sample.post(PostRecord { second: 1_300_000_000, author }).unwrap();
        }
        assert_eq!(sample.posts.len(), 5);
        assert_eq!(sample.posts[&user_id(1)].len(), 2);
        assert!(sample.posts[&user_id(1)].is_sorted() && !sample.posts.contains_key(&user_id(6)));
        sample.keep(&[1, 2]);
        assert_eq!(sample.readers.iter().map(|reader| reader.user).collect::<Vec<_>>(), [8]);
    }

    #[test]
    fn who_follows_too_many_is_not_sampled() {
        let mut sample = Sample::new(1);
        sample.choose_from(&[1, 2]);
        sample.follower(1, &(10..11 + FOLLOWS_MAX as u32).collect::<Vec<_>>());
        assert!(sample.readers.is_empty() && sample.posts.is_empty());
    }
}
