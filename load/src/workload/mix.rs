//! Mixes: what is done how often. Pure.

use clap::ValueEnum;
use fastrand::Rng;

/// First pages of home timelines for each post: what natural load means.
pub const READS_PER_POST: f64 = 50.0;
/// Share of first pages after which the second one is read.
const SECOND_PAGES: f64 = 0.3;
/// Share of first pages whose newest post is liked.
const LIKES: f64 = 0.1;
/// Follows and unfollows for each first page.
const FOLLOWS: f64 = 0.01;
/// Removals for each post.
const REMOVALS: f64 = 0.02;

/// What is done how often.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mix {
    /// 50 reads for each post; 30% of them go on to the second page, 10% like the newest post; follows 1% of reads,
    /// removals 2% of posts.
    Natural,
    /// 1 post, 100 checks for news, 10 follows or unfollows, 5 log-outs.
    Twip,
    /// Natural, and one of the most followed posts ten times at once, every five seconds.
    Burst,
}

/// One thing to do; who does it is drawn apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deed {
    /// Read the first page of the home timeline.
    Read {
        /// Go on to the second page.
        next: bool,
        /// Like the newest post.
        like: bool,
    },
    /// Ask for what is new since the last page, or where there was none for the first page.
    Check,
    /// Write a post.
    Post,
    /// Remove a post of this run.
    Remove,
    /// Follow somebody, or unfollow somebody who was followed in this run.
    Follow,
    /// Forget token and page: the next deed signs in again.
    LogOut,
}

impl Mix {
    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Natural => "natural",
            Self::Twip => "twip",
            Self::Burst => "burst",
        }
    }

    /// Share of all users who are there at all: by week, or for `twip` as it is defined.
    pub const fn active(self) -> f64 {
        match self {
            Self::Natural | Self::Burst => 0.55,
            Self::Twip => 0.7,
        }
    }

    /// Share of all users who are there often. Of the deeds of all who are there, they do their share by
    /// [`often`](Self::often).
    pub const fn active_often(self) -> f64 {
        match self {
            Self::Natural | Self::Burst => 0.3,
            Self::Twip => 0.7,
        }
    }

    /// The share of deeds done by those who are there often: daily, where the others come on two days of a week.
    pub fn often(self) -> f64 {
        let (often, seldom) = (self.active_often(), self.active() - self.active_often());
        often / (often + seldom * 2.0 / 7.0)
    }

    /// How often each deed is done for each post.
    const fn weights(self) -> [(Kind, f64); 6] {
        let (reads, checks, removals, follows, log_outs) = match self {
            Self::Natural | Self::Burst => (READS_PER_POST, 0.0, REMOVALS, FOLLOWS * READS_PER_POST, 0.0),
            Self::Twip => (0.0, 100.0, 0.0, 10.0, 5.0),
        };
        [
            (Kind::Read, reads),
            (Kind::Check, checks),
            (Kind::Post, 1.0),
            (Kind::Remove, removals),
            (Kind::Follow, follows),
            (Kind::LogOut, log_outs),
        ]
    }

    /// Deeds for each post, itself among them.
    pub fn deeds_per_post(self) -> f64 {
        self.weights().iter().map(|(_, weight)| weight).sum()
    }

    /// Draws a deed.
    pub fn draw(self, rng: &mut Rng) -> Deed {
        let mut at = rng.f64() * self.deeds_per_post();
        for (kind, weight) in self.weights() {
            if at < weight {
                return kind.deed(rng);
            }
            at -= weight;
        }
        // Rounding may leave a little.
        Kind::Post.deed(rng)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    Check,
    Post,
    Remove,
    Follow,
    LogOut,
}

impl Kind {
    fn deed(self, rng: &mut Rng) -> Deed {
        match self {
            Self::Read => Deed::Read { next: rng.f64() < SECOND_PAGES, like: rng.f64() < LIKES },
            Self::Check => Deed::Check,
            Self::Post => Deed::Post,
            Self::Remove => Deed::Remove,
            Self::Follow => Deed::Follow,
            Self::LogOut => Deed::LogOut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mix: Mix) -> Vec<Deed> {
        let mut rng = Rng::with_seed(5);
        (0..200_000).map(|_| mix.draw(&mut rng)).collect()
    }

    fn count(deeds: &[Deed], wanted: impl Fn(&Deed) -> bool) -> f64 {
        deeds.iter().filter(|deed| wanted(deed)).count() as f64
    }

    #[test]
    fn natural_load_has_its_shares() {
        let deeds = drawn(Mix::Natural);
        let reads = count(&deeds, |deed| matches!(deed, Deed::Read { .. }));
        let posts = count(&deeds, |deed| *deed == Deed::Post);
        assert!((45.0..55.0).contains(&(reads / posts)), "{}", reads / posts);
        let second = count(&deeds, |deed| matches!(deed, Deed::Read { next: true, .. }));
        assert!((0.29..0.31).contains(&(second / reads)), "{}", second / reads);
        let follows = count(&deeds, |deed| *deed == Deed::Follow);
        assert!((0.008..0.012).contains(&(follows / reads)), "{}", follows / reads);
        assert_eq!(count(&deeds, |deed| matches!(deed, Deed::Check | Deed::LogOut)), 0.0);
    }

    #[test]
    fn twip_load_has_its_shares() {
        let deeds = drawn(Mix::Twip);
        let posts = count(&deeds, |deed| *deed == Deed::Post);
        for (wanted, share) in [(Deed::Check, 100.0), (Deed::Follow, 10.0), (Deed::LogOut, 5.0)] {
            let found = count(&deeds, |deed| *deed == wanted) / posts;
            assert!((share * 0.9..share * 1.1).contains(&found), "{wanted:?} {found}");
        }
    }

    #[test]
    fn who_is_there_daily_does_most() {
        assert!((0.80..0.82).contains(&Mix::Natural.often()));
        assert_eq!(Mix::Twip.often(), 1.0);
    }
}
