//! What a world came to: the figures by which its likeness to a real network is judged.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::PostRecord;
use crate::progress::grouped;

/// Days in the month that posts are counted by.
pub const MONTH_DAYS: f64 = 30.0;

/// The figures of a world. A *median* or *p99.5* is over all users.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Shape {
    /// Follows a user, in the middle.
    pub follows_median: u32,
    /// Follows a user, on average.
    pub follows_mean: f64,
    /// Follows of whoever follows most.
    pub follows_max: u32,
    /// Followers of a user, in the middle.
    pub followers_median: u32,
    /// Followers at the border of the tail.
    pub followers_p995: u32,
    /// Followers of the most followed.
    pub followers_max: u32,
    /// Posts a month of a user, in the middle.
    pub posts_month_median: f64,
    /// Posts a month of a user, on average.
    pub posts_month_mean: f64,
    /// Posts a month of whoever posts most.
    pub posts_month_max: f64,
    /// Followers that a post reaches, on average.
    pub readers_per_post: f64,
    /// Unix second of the first post; 0 without posts.
    pub first_second: u64,
    /// Unix second of the last post; 0 without posts.
    pub last_second: u64,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |n: u32| grouped(u64::from(n));
        let days = (self.last_second - self.first_second) as f64 / 86_400.0;
        writeln!(
            f,
            "follows:   median {}, mean {:.1}, most {}",
            whole(self.follows_median),
            self.follows_mean,
            whole(self.follows_max)
        )?;
        writeln!(
            f,
            "followers: median {}, p99.5 {}, most {}",
            whole(self.followers_median),
            whole(self.followers_p995),
            whole(self.followers_max)
        )?;
        writeln!(
            f,
            "posts:     over {days:.1} days; a month: median {:.1}, mean {:.1}, most {:.0}",
            self.posts_month_median, self.posts_month_mean, self.posts_month_max
        )?;
        write!(f, "a post reaches {:.0} readers on average", self.readers_per_post)
    }
}

/// What is counted while a world is written: twelve bytes a user.
#[derive(Default)]
pub struct Tally {
    follows: Vec<u32>,
    followers: Vec<u32>,
    posts: Vec<u32>,
    first_second: u64,
    last_second: u64,
}

impl Tally {
    /// Whether there is no user yet.
    pub fn is_empty(&self) -> bool {
        self.follows.is_empty()
    }

    /// Counts a user.
    pub fn user(&mut self) {
        self.follows.push(0);
        self.followers.push(0);
        self.posts.push(0);
    }

    /// Counts a user's follows.
    pub fn follower(&mut self, follower: u32, followees: &[u32]) {
        self.follows[follower as usize] = followees.len() as u32;
        for &followee in followees {
            self.followers[followee as usize] += 1;
        }
    }

    /// Counts a post.
    pub fn post(&mut self, post: PostRecord) {
        if self.first_second == 0 {
            self.first_second = post.second;
        }
        self.last_second = post.second;
        self.posts[post.author as usize] += 1;
    }

    /// The figures. Sorts what it counted, so it is the end of the tally.
    pub fn shape(mut self) -> Shape {
        let users = self.follows.len().max(1) as f64;
        let pairs: u64 = self.posts.iter().zip(&self.followers).map(|(&p, &f)| u64::from(p) * u64::from(f)).sum();
        let posts: u64 = self.posts.iter().copied().map(u64::from).sum();
        let follows: u64 = self.follows.iter().copied().map(u64::from).sum();
        // A trace may be shorter than a day, or a single second.
        let days = ((self.last_second - self.first_second) as f64 / 86_400.0).max(1.0);
        let a_month = MONTH_DAYS / days;
        Shape {
            follows_median: quantile(&mut self.follows, 0.5),
            follows_mean: follows as f64 / users,
            follows_max: quantile(&mut self.follows, 1.0),
            followers_median: quantile(&mut self.followers, 0.5),
            followers_p995: quantile(&mut self.followers, 0.995),
            followers_max: quantile(&mut self.followers, 1.0),
            posts_month_median: f64::from(quantile(&mut self.posts, 0.5)) * a_month,
            posts_month_mean: posts as f64 / users * a_month,
            posts_month_max: f64::from(quantile(&mut self.posts, 1.0)) * a_month,
            readers_per_post: pairs as f64 / posts.max(1) as f64,
            first_second: self.first_second,
            last_second: self.last_second,
        }
    }
}

/// The value below which a share of the values lies; 0 where there is none. Reorders them.
fn quantile(values: &mut [u32], share: f64) -> u32 {
    if values.is_empty() {
        return 0;
    }
    let rank = ((values.len() - 1) as f64 * share).round() as usize;
    *values.select_nth_unstable(rank).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_comes_to_what_was_put_in() {
        let mut tally = Tally::default();
        (0..4).for_each(|_| tally.user());
        tally.follower(0, &[1, 2, 3]);
        tally.follower(2, &[1]);
        for (second, author) in [(1_300_000_000, 1), (1_300_000_000 + 86_400 * 15, 1), (1_300_000_000 + 86_400 * 30, 3)]
        {
            tally.post(PostRecord { second, author });
        }
        let shape = tally.shape();
        assert_eq!((shape.follows_mean, shape.follows_max, shape.followers_max), (1.0, 3, 2));
        assert!((shape.posts_month_max - 2.0).abs() < 1e-9);
        assert!((shape.readers_per_post - 5.0 / 3.0).abs() < 1e-9, "{}", shape.readers_per_post);
    }
}
