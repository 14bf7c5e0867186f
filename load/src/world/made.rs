//! Making a world from a seed: a network like the measured ones, as a stream, in bounded memory (law 9).
//!
//! Followers are lognormal with a Pareto tail (Myers et al., WWW 2014, measured Twitter so); posts are lognormal
//! and correlated with followers; follows are lognormal. Every user draws as many followees as it follows, each
//! by the chance of its share of all followers. Posts come by a daily rhythm, hour by hour. About 100 bytes a
//! user are held, and one hour of posts.

use std::path::Path;

use anyhow::{Result, ensure};
use fastrand::Rng;

use super::draw::{Alias, lognormal, normal, pareto, rounded};
use super::shape::MONTH_DAYS;
use super::{Origin, PostRecord, Summary, WorldWriter};
use crate::progress::Progress;

const FOLLOWERS_MEDIAN: f64 = 61.0;
const FOLLOWERS_SIGMA: f64 = 1.6;
/// Sigmas from the median to the 99.5th percentile, where the Pareto tail begins.
const TAIL_FROM_Z: f64 = 2.575_829;
const TAIL_EXPONENT: f64 = 1.276;
/// Nobody is followed by more than this share of all.
const FOLLOWERS_SHARE_MAX: f64 = 0.2;
const FOLLOWS_MEDIAN: f64 = 74.0;
/// Chosen so that follows and followers have the same mean, as they must: about 250.
const FOLLOWS_SIGMA: f64 = 1.65;
const FOLLOWS_MAX: f64 = 5_000.0;
/// One account in so many follows 5,000 to 100,000 others: about a hundred in a million.
const ONE_COLLECTOR_IN: u32 = 10_000;
const COLLECTOR_FOLLOWS_MAX: f64 = 100_000.0;
/// Nobody follows more than one in so many: small worlds stay sparse.
const FOLLOWS_SHARE: f64 = 0.25;
const POSTS_MONTH_MEDIAN: f64 = 2.7;
const POSTS_MONTH_SIGMA: f64 = 2.39;
const POSTS_DAY_MAX: u8 = 100;
/// A post reaches as many readers on average, measured on such networks.
const READERS_PER_POST: [f64; 2] = [85.0, 390.0];
/// Follows of a user on average where no mean is asked for.
const NATURAL_FOLLOWS: f64 = 260.0;
/// Days of posts in a made world.
pub const HISTORY_DAYS: u64 = 7;
/// 2026-01-01T00:00:00Z: fixed, so that the same seed gives the same world at any time.
const HISTORY_END: u64 = 1_767_225_600;
/// Share of a day's posts in each hour (UTC), in thousandths: a trough at night, a peak in the evening.
const HOURLY: [u32; 24] =
    [38, 30, 24, 19, 16, 16, 19, 25, 32, 38, 42, 45, 48, 49, 49, 49, 50, 52, 55, 59, 63, 66, 62, 54];
/// Rounds of drawing what a follower still lacks, before it is left with fewer follows.
const ROUNDS: usize = 16;

/// What a world with measured medians aims at, to be put beside what it came to.
pub const AIMS: &str = "
aimed at:  follows median 74, cap 5,000 but for one account in 10,000; followers median 61, sigma 1.6,
           Pareto 1.276 above p99.5, cap a fifth of all; posts a month median 2.7, sigma 2.39, cap 100 a day;
           a post reaches 75 to 400 readers. With --mean-follows, follows and followers are scaled to it";

/// What world to make.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Users, numbered from 1.
    pub users: u32,
    /// What everything is drawn from.
    pub seed: u64,
    /// Follows of a user on average; none: as they come with a median of 74.
    pub mean_follows: Option<f64>,
}

/// One user's part.
struct Person {
    followers: f64,
    follows: f64,
    posts_month: f64,
}

/// Makes the world.
///
/// # Errors
/// When the recipe cannot be, or the folder cannot be written.
pub fn make(recipe: Recipe, folder: &Path) -> Result<Summary> {
    let Recipe { users, seed, mean_follows } = recipe;
    ensure!(users >= 2, "--users must be at least 2");
    if let Some(mean) = mean_follows {
        let most = f64::from(users) * FOLLOWS_SHARE / 2.0;
        ensure!(mean > 0.0 && mean <= most, "--mean-follows must be above 0 and, for {users} users, at most {most}");
    }
    let mut writer = WorldWriter::create(folder)?;
    for number in 1..=u64::from(users) {
        writer.user(number)?;
    }
    // Parts are drawn from seeds of their own: a change in one leaves the others as they were.
    let mut rng = Rng::with_seed(seed);
    let correlation = posts_correlation(mean_follows.unwrap_or(NATURAL_FOLLOWS));
    let people: Vec<Person> = (0..users).map(|_| person(&mut rng, correlation)).collect();
    let (mut for_follows, mut for_posts) = (rng.fork(), rng.fork());
    write_follows(&mut writer, &people, mean_follows, &mut for_follows)?;
    write_posts(&mut writer, &people, &mut for_posts)?;
    writer.finish(Origin::Made { seed, mean_follows })
}

/// How the logarithms of followers and posts are correlated, so that a post reaches as many readers as it should.
/// Seen in made worlds: at 0.2 a post reaches twice the mean of follows, and e^3.6 times as many for each 1 more.
fn posts_correlation(mean_follows: f64) -> f64 {
    let [least, most] = READERS_PER_POST;
    let wanted = (2.0 * mean_follows).clamp(least, most) / (2.0 * mean_follows);
    (0.2 + wanted.ln() / 3.6).clamp(0.0, 0.9)
}

fn person(rng: &mut Rng, correlation: f64) -> Person {
    let z = normal(rng);
    let body = lognormal(FOLLOWERS_MEDIAN, FOLLOWERS_SIGMA, z.min(TAIL_FROM_Z));
    let followers = if z < TAIL_FROM_Z { body } else { pareto(rng, body, TAIL_EXPONENT) };
    let follows = if rng.u32(..ONE_COLLECTOR_IN) == 0 {
        let span = (COLLECTOR_FOLLOWS_MAX / FOLLOWS_MAX).ln();
        FOLLOWS_MAX * (span * rng.f64()).exp()
    } else {
        lognormal(FOLLOWS_MEDIAN, FOLLOWS_SIGMA, normal(rng)).min(FOLLOWS_MAX)
    };
    let z_posts = correlation * z + (1.0 - correlation.powi(2)).sqrt() * normal(rng);
    let posts_month = lognormal(POSTS_MONTH_MEDIAN, POSTS_MONTH_SIGMA, z_posts);
    Person { followers, follows, posts_month: posts_month.min(f64::from(POSTS_DAY_MAX) * MONTH_DAYS) }
}

fn write_follows(writer: &mut WorldWriter, people: &[Person], mean: Option<f64>, rng: &mut Rng) -> Result<()> {
    let users = people.len() as u32;
    let natural = people.iter().map(|p| p.follows).sum::<f64>() / f64::from(users);
    let scale = mean.map_or(1.0, |mean| mean / natural);
    let most = f64::from(users) * FOLLOWS_SHARE;
    // The cap bounds the weights, and (for what is drawn beside the mean) the count itself.
    let followers_max = (f64::from(users) * FOLLOWERS_SHARE_MAX).ceil();
    let alias = Alias::new(&people.iter().map(|p| p.followers.min(followers_max / scale)).collect::<Vec<_>>());
    let followers_max = followers_max as u32;
    let mut followers = vec![0u32; people.len()];
    let mut progress = Progress::start("drawing follows of users", Some(u64::from(users)));
    let mut chosen: Vec<u32> = Vec::new();
    for follower in 0..users {
        let wanted = rounded(rng, (people[follower as usize].follows * scale).min(most)) as usize;
        chosen.clear();
        for _ in 0..ROUNDS {
            let lacking = wanted - chosen.len();
            chosen.extend((0..lacking).map(|_| alias.draw(rng)));
            chosen.retain(|&followee| followee != follower && followers[followee as usize] < followers_max);
            chosen.sort_unstable();
            chosen.dedup();
            if chosen.len() == wanted {
                break;
            }
        }
        for &followee in &chosen {
            followers[followee as usize] += 1;
        }
        writer.follower(follower, &chosen)?;
        progress.add(1);
    }
    progress.finish();
    Ok(())
}

fn write_posts(writer: &mut WorldWriter, people: &[Person], rng: &mut Rng) -> Result<()> {
    let rates: Vec<f64> = people.iter().map(|p| p.posts_month).collect();
    let a_day = rates.iter().sum::<f64>() / MONTH_DAYS;
    let alias = Alias::new(&rates);
    let rhythm: u32 = HOURLY.iter().sum();
    let mut progress = Progress::start("drawing posts", Some((a_day * HISTORY_DAYS as f64) as u64));
    let mut today = vec![0u8; people.len()];
    let mut hour: Vec<PostRecord> = Vec::new();
    for day in 0..HISTORY_DAYS {
        today.fill(0);
        for (n, &share) in (0u64..).zip(&HOURLY) {
            let begins = HISTORY_END - (HISTORY_DAYS - day) * 86_400 + n * 3_600;
            hour.clear();
            for _ in 0..rounded(rng, a_day * f64::from(share) / f64::from(rhythm)) {
                let post = PostRecord { second: begins + rng.u64(..3_600), author: alias.draw(rng) };
                // Who has written a day's worth is left out: the rates of the others stay as they are.
                if today[post.author as usize] < POSTS_DAY_MAX {
                    today[post.author as usize] += 1;
                    hour.push(post);
                }
            }
            hour.sort_by_key(|post| post.second);
            hour.iter().try_for_each(|&post| writer.post(post))?;
            progress.add(hour.len() as u64);
        }
    }
    progress.finish();
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::world::World;
    use crate::world::format::Kind;

    fn made(recipe: Recipe) -> (tempfile::TempDir, Summary) {
        let folder = tempfile::tempdir().unwrap();
        let summary = make(recipe, folder.path()).unwrap();
        (folder, summary)
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
        let recipe = Recipe { users: 3_000, seed: 42, mean_follows: Some(35.0) };
        let (one, _) = made(recipe);
        let (two, _) = made(recipe);
        let (three, _) = made(Recipe { seed: 43, ..recipe });
        for name in ["users.bin", "follows.bin", "posts.bin", "world.json"] {
            assert_eq!(fs::read(one.path().join(name)).unwrap(), fs::read(two.path().join(name)).unwrap(), "{name}");
        }
        for kind in [Kind::Follows, Kind::Posts] {
            let name = kind.file_name();
            assert_ne!(fs::read(one.path().join(name)).unwrap(), fs::read(three.path().join(name)).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_made_world_has_the_shape_that_was_asked_for() {
        let (folder, summary) = made(Recipe { users: 20_000, seed: 1, mean_follows: Some(100.0) });
        let shape = summary.shape;
        assert!((90.0..=110.0).contains(&shape.follows_mean), "{shape:?}");
        assert!((75.0..=400.0).contains(&shape.readers_per_post), "{shape:?}");
        assert!(shape.followers_max <= 4_000 && shape.followers_p995 > 10 * shape.followers_median, "{shape:?}");
        assert!(shape.posts_month_max <= 3_000.0 * 7.0 / 6.9, "{shape:?}");
        assert!(World::open(folder.path()).is_ok());
    }

    #[test]
    fn medians_are_near_the_measured_ones_where_no_mean_is_asked_for() {
        let (_folder, summary) = made(Recipe { users: 30_000, seed: 9, mean_follows: None });
        let shape = summary.shape;
        assert!((70..=78).contains(&shape.follows_median), "{shape:?}");
        // The smaller the world, the more the cap on the most followed leaves to the others.
        assert!((50..=100).contains(&shape.followers_median), "{shape:?}");
    }

    #[test]
    fn impossible_recipes_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (users, mean_follows) in [(1, None), (10, Some(9.0)), (10, Some(0.0)), (10, Some(f64::NAN))] {
            let refused = make(Recipe { users, seed: 1, mean_follows }, &folder.path().join("world"));
            assert!(refused.is_err(), "{users} {mean_follows:?}");
        }
    }
}
