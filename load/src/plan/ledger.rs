//! What each author costs a day on either channel, added up over the follows, each of which is seen once. Five numbers
//! an author are kept, and no follow.
//!
//! Sums of choices are compared to the last bit: all of them add the same numbers in the same order, and rounding never
//! turns an order around. So the optimum of each follow is never above that of each author, nor that above a threshold.

use super::activity::Activity;

/// What an author costs, in microseconds of a processor a day.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct AuthorCost {
    /// Posts a day.
    pub rate: f64,
    /// Followers.
    pub followers: u32,
    /// Delivering every post to every follower.
    pub push_us: f64,
    /// Merging the author's stream at every fill of a follower.
    pub pull_us: f64,
    /// The cheaper of both for each follower.
    pub edge_us: f64,
}

/// All authors, and what one delivery and one merge cost.
pub struct Ledger {
    authors: Vec<AuthorCost>,
    activity: Activity,
    h_us: f64,
    l_us: f64,
    follows: u64,
}

impl Ledger {
    /// A ledger for authors who post so often a day, by place.
    pub fn new(rates: Vec<f64>, activity: Activity, h_us: f64, l_us: f64) -> Self {
        let authors = rates.into_iter().map(|rate| AuthorCost { rate, ..AuthorCost::default() }).collect();
        Self { authors, activity, h_us, l_us, follows: 0 }
    }

    /// Counts whom the user at place `reader` follows.
    pub fn add(&mut self, reader: u32, followees: &[u32]) {
        let merge_us = self.activity.fills_per_day(reader) * self.l_us;
        for &followee in followees {
            let author = &mut self.authors[followee as usize];
            let deliver_us = author.rate * self.h_us;
            author.followers += 1;
            author.push_us += deliver_us;
            author.pull_us += merge_us;
            author.edge_us += deliver_us.min(merge_us);
        }
        self.follows += followees.len() as u64;
    }

    /// Every author, by place.
    pub fn authors(&self) -> &[AuthorCost] {
        &self.authors
    }

    /// Follows that were counted.
    pub fn follows(&self) -> u64 {
        self.follows
    }

    /// The posts a day above which an author is cheaper on pull, where all followers are taken for average readers: what
    /// the engine goes by in mode `cost`.
    pub fn balance(&self) -> f64 {
        self.activity.mean() * self.l_us / self.h_us
    }
}
