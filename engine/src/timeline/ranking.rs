//! The ranking of popular posts: by likes, each worth half as much with every [`POPULAR_HALF_LIFE`] of the post's age.
//!
//! All posts age alike, so which of two stands higher changes with their likes alone: `likes / 2^(age / half-life)` is
//! in the order of `time made + half-life * log2(likes)`. That is what is kept, for each post once. It is set, not
//! counted up, so news that is repeated changes nothing (law 4), and older news than what is known is passed over.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::limits::{POPULAR_HALF_LIFE, POPULAR_KEPT};
use crate::model::{Millis, Position, PostId};

/// The best [`POPULAR_KEPT`] posts that it was told of. One that has fallen out comes back with its next like.
#[derive(Debug, Default)]
pub struct Ranking {
    places: FxHashMap<PostId, Place>,
    order: BTreeSet<(Millis, PostId)>,
}

#[derive(Debug)]
struct Place {
    standing: Millis,
    /// The position in the log that its likes are from.
    told: Position,
}

/// The time at which a post with a single like would have to be made to stand where `post` does, with its one like or
/// more.
fn standing(post: PostId, likes: u64) -> Millis {
    let gained_ms = (likes as f64).log2() * POPULAR_HALF_LIFE.as_millis() as f64;
    Millis(post.created_at().0 + gained_ms.round() as u64)
}

impl Ranking {
    /// The post has `likes` likes at `position`; without any it leaves.
    pub fn set(&mut self, post: PostId, likes: u64, position: Position) {
        if self.places.get(&post).is_some_and(|place| place.told > position) {
            return;
        }
        self.remove(post);
        if likes == 0 {
            return;
        }
        let standing = standing(post, likes);
        self.places.insert(post, Place { standing, told: position });
        self.order.insert((standing, post));
        if self.order.len() > POPULAR_KEPT
            && let Some((_, last)) = self.order.pop_first()
        {
            self.places.remove(&last);
        }
    }

    /// The post leaves.
    pub fn remove(&mut self, post: PostId) {
        if let Some(Place { standing, .. }) = self.places.remove(&post) {
            self.order.remove(&(standing, post));
        }
    }

    /// The best posts, at most `count`, the best first; of two that stand alike the newer one.
    pub fn best(&self, count: usize) -> Vec<PostId> {
        self.order.iter().rev().take(count).map(|&(_, post)| post).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::POPULAR_POSTS;

    const HOUR_MS: u64 = 3_600_000;
    const NOW_MS: u64 = 1_790_000_000_000;

    /// A post of so many hours ago.
    fn post(hours: u64, sequence: u16) -> PostId {
        PostId::new(Millis(NOW_MS - hours * HOUR_MS), 7, sequence)
    }

    /// What is told in this order comes to.
    fn ranked(posts: &[(PostId, u64)]) -> Vec<PostId> {
        let mut ranking = Ranking::default();
        for (n, &(post, likes)) in posts.iter().enumerate() {
            ranking.set(post, likes, Position(n as u64));
        }
        ranking.best(posts.len())
    }

    #[test]
    fn twice_the_likes_outweigh_half_a_day_and_not_a_minute_more() {
        let minute_older = PostId::new(Millis(NOW_MS - 12 * HOUR_MS - 60_000), 7, 0);
        assert_eq!(ranked(&[(post(0, 0), 3), (post(11, 0), 6)]), [post(11, 0), post(0, 0)]);
        assert_eq!(ranked(&[(post(0, 0), 3), (minute_older, 6)]), [post(0, 0), minute_older]);
        assert_eq!(ranked(&[(post(0, 0), 1), (post(119, 0), 1024)]), [post(119, 0), post(0, 0)]);
        assert_eq!(ranked(&[(post(0, 0), 1), (post(121, 0), 1024)]), [post(0, 0), post(121, 0)]);
    }

    #[test]
    fn of_posts_that_stand_alike_the_newer_is_first() {
        assert_eq!(ranked(&[(post(0, 1), 5), (post(0, 3), 5), (post(0, 2), 5)]), [post(0, 3), post(0, 2), post(0, 1)]);
        assert_eq!(ranked(&[(post(12, 0), 10), (post(0, 0), 5)]), [post(0, 0), post(12, 0)]);
    }

    #[test]
    fn repetition_changes_nothing_and_the_last_word_holds() {
        let (a, b) = (post(1, 0), post(2, 0));
        assert_eq!(ranked(&[(a, 9), (b, 5), (a, 9), (a, 2), (a, 2)]), [b, a]);
        assert_eq!(ranked(&[(a, 9), (b, 5), (a, 0), (a, 0)]), [b]);
    }

    #[test]
    fn older_news_is_passed_over() {
        let (a, b) = (post(1, 0), post(2, 0));
        let mut ranking = Ranking::default();
        ranking.set(b, 2, Position(1));
        ranking.set(a, 9, Position(7));
        for stale in [0, 1, 100] {
            ranking.set(a, stale, Position(6));
            assert_eq!(ranking.best(2), [a, b]);
        }
        ranking.set(a, 1, Position(7));
        assert_eq!(ranking.best(2), [b, a]);
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let mut ranking = Ranking::default();
        ranking.remove(post(1, 0));
        ranking.set(post(1, 0), u64::MAX, Position(1));
        ranking.remove(post(1, 0));
        assert!(ranking.order.is_empty() && ranking.places.is_empty());
    }

    #[test]
    fn it_is_bounded_and_whole_after_removals() {
        let mut ranking = Ranking::default();
        let posts: Vec<PostId> = (0..5_000).map(|n| PostId::new(Millis(NOW_MS + n), 7, 0)).collect();
        for round in 1..4 {
            posts.iter().for_each(|&post| ranking.set(post, round, Position(round)));
            assert_eq!((ranking.order.len(), ranking.places.len()), (POPULAR_KEPT, POPULAR_KEPT));
        }
        let newest: Vec<PostId> = posts.iter().rev().copied().collect();
        assert_eq!(ranking.best(POPULAR_POSTS), newest[..POPULAR_POSTS]);
        newest[..POPULAR_POSTS].iter().for_each(|&post| ranking.remove(post));
        assert_eq!(ranking.best(POPULAR_POSTS), newest[POPULAR_POSTS..POPULAR_KEPT]);
    }

    /// What the doc says, at any time after the posts were made.
    #[test]
    fn the_order_is_that_of_decayed_likes_at_any_time() {
        let mut random = fastrand::Rng::with_seed(6);
        let posts: Vec<(PostId, u64)> = (0..900)
            .map(|n| (post(random.u64(0..200), n), 1 + random.u64(..100_000) / random.u64(1..100_000)))
            .collect();
        let likes: FxHashMap<PostId, u64> = posts.iter().copied().collect();
        let ranked = ranked(&posts);
        assert_eq!(ranked.len(), posts.len());
        for later_ms in [0, HOUR_MS, 1_000 * HOUR_MS] {
            let worth = |post: &PostId| {
                let age = (NOW_MS + later_ms - post.created_at().0) as f64 / POPULAR_HALF_LIFE.as_millis() as f64;
                likes[post] as f64 * 0.5_f64.powf(age)
            };
            // A standing is a whole millisecond.
            assert!(ranked.windows(2).all(|pair| worth(&pair[0]) >= worth(&pair[1]) * (1.0 - 1e-6)));
        }
    }
}
