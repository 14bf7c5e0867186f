//! The copy of the ranking of popular posts in the shard. Every node keeps the ranking by itself, from the log; the copy
//! is for those that did not hear of all likes, because they started later than the log reaches back.
//!
//! The copy names posts and says nothing of them: whoever reads it counts their likes in the store. So it may be old,
//! lost, or written by any node at any time (law 2). Nobody waits for it (law 8).

use std::error::Error;
use std::sync::Arc;

use tokio::time::MissedTickBehavior;

use super::{Stop, stopped};
use crate::cache::Tier;
use crate::limits::{PAGE_MAX, POPULAR_COPY_EVERY, POPULAR_KEPT};
use crate::ports::Shard;
use crate::timeline::packed::{pack_unordered, unpack_unordered};

/// Takes the copy where news was missed, and makes it anew.
pub struct PopularCopy {
    tier: Arc<Tier>,
    shard: Arc<dyn Shard>,
}

impl PopularCopy {
    /// The copy of the ranking of `tier` in `shard`.
    pub fn new(tier: Arc<Tier>, shard: Arc<dyn Shard>) -> Self {
        Self { tier, shard }
    }

    /// Makes up for what was missed, if anything was, and writes the copy. A node that could not read it does not write
    /// it: it may know less.
    ///
    /// # Errors
    /// What shard or store said.
    pub async fn step(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let popular = &self.tier.popular;
        if popular.take_missed() {
            self.make_up().await.inspect_err(|_| popular.miss())?;
        }
        let posts = popular.ranking().best(POPULAR_KEPT);
        if !posts.is_empty() {
            let mut string = Vec::new();
            pack_unordered(&posts, &mut string);
            self.shard.set_popular(string.into()).await?;
        }
        Ok(())
    }

    /// Counts the likes of every post that the copy or this node has in its ranking. Of one that loses its last like while
    /// they are counted, the node may hear of that first; it then stands there without likes, until its next one.
    async fn make_up(&self) -> Result<(), Box<dyn Error + Send + Sync>> {
        let copy = self.shard.read_popular().await?;
        let mut posts = copy.and_then(|string| unpack_unordered(&string, POPULAR_KEPT)).unwrap_or_default();
        posts.extend(self.tier.popular.ranking().best(POPULAR_KEPT));
        posts.sort_unstable();
        posts.dedup();
        for ids in posts.chunks(PAGE_MAX) {
            // Before they are counted, so that what the node hears meanwhile is not passed over.
            let position = self.tier.ring.position();
            let found = self.tier.store.posts(ids).await?;
            let mut ranking = self.tier.popular.ranking();
            for (&id, post) in ids.iter().zip(found) {
                match post {
                    Some(post) => ranking.set(id, post.likes, position),
                    None => ranking.remove(id),
                }
            }
        }
        Ok(())
    }

    /// Goes on until stopped.
    pub async fn run(self, mut stop: Stop) {
        let mut every = tokio::time::interval(POPULAR_COPY_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stopped(&mut stop) => return,
            }
            if let Err(error) = self.step().await {
                tracing::debug!(%error, "the popular posts were not copied; trying again");
            }
        }
    }
}
