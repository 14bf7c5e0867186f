//! Import of a world into a store that no node serves: users, then follows, then posts, in batches, resumable.
//!
//! The world is read through once before anything is written, so a damaged one changes nothing. Channels are chosen
//! by the tuning in force and the followers of the moment (law 3): follows come before posts. At the end the
//! store's epoch is a new one, so no cache of before is believed (law 2).

mod ids;
mod mark;
mod text;

use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tributary_engine::model::{Handle, UserId};
use tributary_engine::ports::{ImportedPost, ImportedUser, Store};

pub use ids::{PostIds, user_id};
use mark::{Mark, Phase};
pub use text::text;

use crate::progress::Progress;
use crate::world::World;

/// Records in one batch, at least one: one transaction and one mark.
#[derive(Clone, Copy, Debug)]
pub struct Batches {
    /// Users.
    pub users: usize,
    /// Follows; a follower is not divided.
    pub follows: usize,
    /// Posts.
    pub posts: usize,
}

impl Default for Batches {
    /// Some tens of megabytes each, and a second or so of work.
    fn default() -> Self {
        Self { users: 50_000, follows: 1_000_000, posts: 100_000 }
    }
}

/// What an import came to.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Imported {
    /// Users in the store.
    pub users: u64,
    /// Follows in the store.
    pub follows: u64,
    /// Posts in the store.
    pub posts: u64,
    /// Records of these that an earlier, interrupted run had imported.
    pub resumed: u64,
    /// Whether an earlier run had finished: nothing was done.
    pub already: bool,
    /// How long this run took.
    pub seconds: f64,
    /// Follows a second, in their phase.
    pub follows_per_second: f64,
    /// Posts a second, in their phase.
    pub posts_per_second: f64,
}

/// Imports `world`, or what of it is not yet in `store`. `interrupted` is asked after each batch.
///
/// # Errors
/// When the world is damaged, the store holds something else or fails, or the import was interrupted. In the last
/// two cases another run goes on where this one ended.
pub async fn import(
    store: &dyn Store,
    world: &World,
    batches: Batches,
    interrupted: &mut (dyn FnMut() -> bool + Send),
) -> Result<Imported> {
    let started = Instant::now();
    let handles = check(world)?;
    let mark = Mark::load(store, world).await?;
    let summary = world.summary();
    let counts = [summary.users.count, summary.follows.count, summary.posts.count];
    let mut imported = Imported {
        users: counts[0],
        follows: counts[1],
        posts: counts[2],
        resumed: mark.done + counts.iter().take(mark.phase as usize).sum::<u64>(),
        already: mark.phase == Phase::Done,
        seconds: 0.0,
        follows_per_second: 0.0,
        posts_per_second: 0.0,
    };
    let mut run = Run { store, world, handles, batches, mark, interrupted };
    if run.mark.phase == Phase::Users {
        run.users().await?;
    }
    if run.mark.phase == Phase::Follows {
        imported.follows_per_second = run.follows().await?;
    }
    if run.mark.phase == Phase::Posts {
        imported.posts_per_second = run.posts().await?;
        run.store.finish_import().await.context("finishing the import: run it again to continue")?;
        run.next_phase(Phase::Done).await?;
    }
    imported.seconds = started.elapsed().as_secs_f64();
    Ok(imported)
}

/// Reads the world through, so that nothing is written of one that is damaged or cannot have ids. Gives the handles.
fn check(world: &World) -> Result<Vec<Handle>> {
    let mut handles = Vec::with_capacity(world.summary().users.count as usize);
    let mut users = world.users()?;
    while let Some(number) = users.next_user()? {
        handles.push(format!("u{number}").parse().expect("u and up to 20 digits are a handle"));
    }
    let (mut follows, mut followees) = (world.follows()?, Vec::new());
    while follows.next_follower(&mut followees)?.is_some() {}
    let (mut posts, mut ids) = (world.posts()?, PostIds::default());
    while let Some(post) = posts.next_post()? {
        ids.next(post)?;
    }
    Ok(handles)
}

/// A run of an import. World files are read from the runtime's thread: nothing else waits for it here.
struct Run<'a> {
    store: &'a dyn Store,
    world: &'a World,
    /// By index.
    handles: Vec<Handle>,
    batches: Batches,
    mark: Mark,
    interrupted: &'a mut (dyn FnMut() -> bool + Send),
}

impl Run<'_> {
    async fn users(&mut self) -> Result<()> {
        let mut progress = self.progress("importing users", self.handles.len() as u64);
        let from = self.mark.done as usize;
        for begin in (from..self.handles.len()).step_by(self.batches.users) {
            let end = (begin + self.batches.users).min(self.handles.len());
            let users: Vec<ImportedUser> =
                (begin..end).map(|i| ImportedUser { id: user_id(i as u32), handle: self.handles[i].clone() }).collect();
            self.store.import_users(&users).await.context("importing users: run it again to continue")?;
            self.advance(users.len(), &mut progress).await?;
        }
        progress.finish();
        self.next_phase(Phase::Follows).await
    }

    /// Gives the follows a second.
    async fn follows(&mut self) -> Result<f64> {
        let (started, resumed) = (Instant::now(), self.mark.done);
        let mut progress = self.progress("importing follows", self.world.summary().follows.count);
        let (mut reader, mut followees) = (self.world.follows()?, Vec::new());
        let (mut skip, mut edges) = (self.mark.done, 0);
        let mut batch: Vec<(UserId, Vec<UserId>)> = Vec::new();
        while let Some(follower) = reader.next_follower(&mut followees)? {
            // Marks lie between followers.
            if skip > 0 {
                skip = skip.saturating_sub(followees.len() as u64);
                continue;
            }
            edges += followees.len();
            batch.push((user_id(follower), followees.iter().map(|&followee| user_id(followee)).collect()));
            if edges >= self.batches.follows {
                self.import_follows(&mut batch, &mut edges, &mut progress).await?;
            }
        }
        if edges > 0 {
            self.import_follows(&mut batch, &mut edges, &mut progress).await?;
        }
        progress.finish();
        self.next_phase(Phase::Posts).await?;
        Ok(rate(self.world.summary().follows.count - resumed, started))
    }

    async fn import_follows(
        &mut self,
        batch: &mut Vec<(UserId, Vec<UserId>)>,
        edges: &mut usize,
        progress: &mut Progress,
    ) -> Result<()> {
        self.store.import_follows(batch).await.context("importing follows: run it again to continue")?;
        self.advance(*edges, progress).await?;
        batch.clear();
        *edges = 0;
        Ok(())
    }

    /// Gives the posts a second.
    async fn posts(&mut self) -> Result<f64> {
        let (started, resumed) = (Instant::now(), self.mark.done);
        let mut progress = self.progress("importing posts", self.world.summary().posts.count);
        let (mut reader, mut ids) = (self.world.posts()?, PostIds::default());
        let mut batch = Vec::new();
        let mut read = 0;
        while let Some(post) = reader.next_post()? {
            // Those before the mark are counted too: an id depends on those of its second.
            let id = ids.next(post)?;
            read += 1;
            if read <= resumed {
                continue;
            }
            let text = text(self.handles[post.author as usize].as_str(), id);
            batch.push(ImportedPost { id, author: user_id(post.author), text });
            if batch.len() >= self.batches.posts || read == self.world.summary().posts.count {
                self.store.import_posts(&batch).await.context("importing posts: run it again to continue")?;
                self.advance(batch.len(), &mut progress).await?;
                batch.clear();
            }
        }
        progress.finish();
        Ok(rate(self.world.summary().posts.count - resumed, started))
    }

    fn progress(&self, what: &'static str, total: u64) -> Progress {
        let mut progress = Progress::start(what, Some(total));
        progress.resume_at(self.mark.done);
        progress
    }

    /// A batch is in the store.
    async fn advance(&mut self, records: usize, progress: &mut Progress) -> Result<()> {
        self.mark.done += records as u64;
        self.mark.save(self.store).await?;
        progress.add(records as u64);
        if (self.interrupted)() {
            bail!("interrupted: run it again to continue");
        }
        Ok(())
    }

    async fn next_phase(&mut self, phase: Phase) -> Result<()> {
        self.mark.phase = phase;
        self.mark.done = 0;
        self.mark.save(self.store).await
    }
}

fn rate(records: u64, started: Instant) -> f64 {
    records as f64 / started.elapsed().as_secs_f64().max(0.001)
}

#[cfg(test)]
mod tests;
