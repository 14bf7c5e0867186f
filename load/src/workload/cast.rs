//! Who acts: readers by how often they are there, authors by what they posted in the world, and one of the most
//! followed. Made in one pass over the world's files, together with what verification keeps of them; about 30 bytes a
//! user are held.

use anyhow::{Context, Result, ensure};
use fastrand::Rng;

use super::mix::Mix;
use crate::progress::Progress;
use crate::verify::Sample;
use crate::world::World;
use crate::world::draw::Alias;

/// The users of a world, by index, and who of them does what.
pub struct Cast {
    /// A user's number: the handle is `u<number>`.
    numbers: Vec<u64>,
    /// Those who are there often, then the others.
    readers: Vec<u32>,
    often_readers: usize,
    often_share: f64,
    authors: Vec<u32>,
    by_posts: Alias,
    /// One of the most followed who posts.
    pub celebrity: u32,
    /// Posts a second in the world.
    pub natural_posts: f64,
}

impl Cast {
    /// Reads the world through once. At most `readers_max` readers act; they are drawn from `seed`, and so are those in
    /// `sample`, which takes what it needs of the files on the way.
    ///
    /// # Errors
    /// When a file is damaged, or the world has nobody who reads or nobody who posts.
    pub fn read(world: &World, mix: Mix, readers_max: usize, seed: u64, sample: &mut Sample) -> Result<Self> {
        let mut numbers = Vec::new();
        let mut users = world.users()?;
        while let Some(number) = users.next_user()? {
            numbers.push(number);
        }
        let (mut often, seldom) = active(numbers.len() as u32, mix, readers_max, &mut Rng::with_seed(seed));
        ensure!(!often.is_empty(), "the world has nobody to read: {} users", numbers.len());
        let often_readers = often.len();
        // Without others, those who are there often do everything.
        let often_share = if seldom.is_empty() { 1.0 } else { mix.often() };
        often.extend(seldom);
        sample.choose_from(&often);

        let mut followers = vec![0u32; numbers.len()];
        let (mut follows, mut followees) = (world.follows()?, Vec::new());
        let mut progress = Progress::start("reading follows", Some(world.summary().follows.count));
        while let Some(follower) = follows.next_follower(&mut followees)? {
            for &followee in &followees {
                followers[followee as usize] += 1;
            }
            sample.follower(follower, &followees);
            progress.add(followees.len() as u64);
        }
        progress.finish();
        let mut posts = vec![0u32; numbers.len()];
        let mut records = world.posts()?;
        let mut progress = Progress::start("reading posts", Some(world.summary().posts.count));
        while let Some(post) = records.next_post()? {
            posts[post.author as usize] += 1;
            sample.post(post)?;
            progress.add(1);
        }
        progress.finish();
        let authors: Vec<u32> = (0..numbers.len() as u32).filter(|&user| posts[user as usize] > 0).collect();
        let celebrity = authors.iter().copied().max_by_key(|&user| followers[user as usize]);
        let celebrity =
            celebrity.context("the world has no posts, so there is no natural rate: make one with posts")?;
        let weights: Vec<f64> = authors.iter().map(|&user| f64::from(posts[user as usize])).collect();
        let shape = world.summary().shape;
        // As in the world's own figures: a trace may be shorter than a day.
        let seconds = ((shape.last_second - shape.first_second) as f64).max(86_400.0);
        Ok(Self {
            numbers,
            readers: often,
            often_readers,
            often_share,
            by_posts: Alias::new(&weights),
            authors,
            celebrity,
            natural_posts: world.summary().posts.count as f64 / seconds,
        })
    }

    /// A user's handle.
    pub fn handle(&self, user: u32) -> String {
        format!("u{}", self.numbers[user as usize])
    }

    /// Everybody who reads.
    pub fn readers(&self) -> &[u32] {
        &self.readers
    }

    /// Draws who reads.
    pub fn draw_reader(&self, rng: &mut Rng) -> u32 {
        let (often, seldom) = self.readers.split_at(self.often_readers);
        let group = if rng.f64() < self.often_share { often } else { seldom };
        group[rng.usize(..group.len())]
    }

    /// Draws who posts.
    pub fn draw_author(&self, rng: &mut Rng) -> u32 {
        self.authors[self.by_posts.draw(rng) as usize]
    }
}

/// Draws who is there often and who is there at times, at most `most` in all; where there are more, each group keeps
/// its share.
fn active(users: u32, mix: Mix, most: usize, rng: &mut Rng) -> (Vec<u32>, Vec<u32>) {
    let (mut often, mut seldom) = (Vec::new(), Vec::new());
    for user in 0..users {
        let at = rng.f64();
        if at < mix.active_often() {
            often.push(user);
        } else if at < mix.active() {
            seldom.push(user);
        }
    }
    let all = often.len() + seldom.len();
    if all > most {
        let often_kept = (often.len() * most).div_ceil(all);
        for (group, kept) in [(&mut often, often_kept), (&mut seldom, most - often_kept)] {
            rng.shuffle(group);
            group.truncate(kept);
        }
    }
    (often, seldom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_bounded_and_keep_their_shares() {
        let (often, seldom) = active(100_000, Mix::Natural, usize::MAX, &mut Rng::with_seed(1));
        assert!((29_000..31_000).contains(&often.len()) && (24_000..26_000).contains(&seldom.len()));
        let (often, seldom) = active(100_000, Mix::Natural, 1_000, &mut Rng::with_seed(1));
        assert_eq!(often.len() + seldom.len(), 1_000);
        assert!((530..560).contains(&often.len()), "{}", often.len());
    }
}
