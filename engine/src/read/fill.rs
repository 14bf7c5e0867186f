//! Fill: making a reader's L1 window from the shard (L2), else the checkpoint (L3), else the store (laws 1 and 2).
//!
//! The order is what makes it true. View and stamp first, then the ring's position, then the posts: everything up to
//! that position was committed, and on pull noted, before anything was read.

use std::sync::Arc;
use std::time::Instant;

use futures::future::try_join_all;

use super::{Reads, Source};
use crate::cache::{Filled, HomeSlot, View, floor_of};
use crate::limits::{LATE_FOLLOWEES, ROUND_RING_SHARE, SHARD_TIMEOUT, WINDOW_ENTRIES};
use crate::model::{Position, PostId, UserId};
use crate::ports::StoreError;
use crate::recent::{Lapped, Snapshot};
use crate::timeline::{Run, Window, fold};

/// A shard's string with more segments than this is set again, folded, by whoever reads it.
const SEGMENTS: usize = 16;

/// A window that was found, and what is known of the tiers below L1.
struct Found {
    window: Window,
    from: Source,
    /// Whether the shard should be given the merged window.
    set_again: bool,
    /// The position of the checkpoint, as far as known; none where there is none.
    saved: Option<Position>,
}

impl Reads {
    pub(super) async fn fill(&self, reader: UserId) -> Result<Arc<HomeSlot>, StoreError> {
        let mut cached = true;
        loop {
            let view = self.tier.view(reader).await?;
            let found = match self.find(reader, &view).await.filter(|_| cached) {
                Some(found) => found,
                None => self.pull(reader, &view).await?,
            };
            match self.merge(reader, &view, found).await? {
                Ok(slot) => return Ok(slot),
                // The ring has gone on beyond what was found: the store has it all.
                Err(Lapped) => cached = false,
            }
        }
    }

    /// The window that shard or checkpoint have, if the ring reaches back to it and few followees are late for it.
    async fn find(&self, reader: UserId, view: &View) -> Option<Found> {
        let usable = |window: &Window| {
            window.position >= self.tier.ring.floor_position() && view.late(window.stamp).len() <= LATE_FOLLOWEES
        };
        let read = tokio::time::timeout(SHARD_TIMEOUT, self.shard.read(reader)).await;
        if let Ok(Ok(Some(string))) = read
            && let Some((window, segments)) = fold(&string, self.tier.epoch)
            && usable(&window)
        {
            let behind = self.tier.ring.position().0.saturating_sub(window.position.0);
            let far = behind > (self.tier.ring.capacity() / ROUND_RING_SHARE) as u64;
            // Nobody has told how old the checkpoint is: it counts as old as the window.
            let saved = Some(window.position);
            return Some(Found { window, from: Source::Shard, set_again: segments > SEGMENTS || far, saved });
        }
        let string = self.tier.store.checkpoint(reader).await.ok()??;
        let (window, _) = fold(&string, self.tier.epoch)?;
        let saved = Some(window.position);
        usable(&window).then_some(Found { window, from: Source::Checkpoint, set_again: true, saved })
    }

    /// The window that the store's pull says.
    async fn pull(&self, reader: UserId, view: &View) -> Result<Found, StoreError> {
        let _permit = self.fills.acquire().await.expect("the semaphore is never closed");
        let position = self.tier.ring.position();
        let entries = self.tier.store.home_all(reader, PostId::MAX, WINDOW_ENTRIES).await?;
        let floor = floor_of(&entries, WINDOW_ENTRIES);
        let window = Window { epoch: self.tier.epoch, floor, position, stamp: view.follow.stamp, entries };
        // A checkpoint saves work only where there is some: an empty timeline is quickly pulled again.
        let saved = window.entries.is_empty().then_some(position);
        Ok(Found { window, from: Source::Store, set_again: true, saved })
    }

    /// Unites the window with the ring after it and with the streams of hot and late followees.
    async fn merge(
        &self,
        reader: UserId,
        view: &View,
        found: Found,
    ) -> Result<Result<Arc<HomeSlot>, Lapped>, StoreError> {
        let Found { mut window, from, set_again, saved } = found;
        let snapshot = self.tier.ring.snapshot();
        // A window ahead of this node gives its entries, not its position.
        let Ok(recent) = snapshot.newest(&view.authors, window.position, WINDOW_ENTRIES) else {
            return Ok(Err(Lapped));
        };
        let position = snapshot.position;
        let mut filled = Filled { from, ring: Vec::new(), streams: Vec::new() };
        // Entries fall, so each is looked up in them.
        let known = |id: &PostId| window.entries.binary_search_by(|entry| id.cmp(entry)).is_ok();
        filled.ring.extend(recent.ids.iter().filter(|id| !known(id)));

        let begun = Instant::now();
        let mut streamed = view.late(window.stamp);
        if from != Source::Store {
            streamed.extend(self.tier.pulls.followed(reader, view, window.floor));
        }
        let streams = try_join_all(streamed.iter().map(|&author| self.tier.stream(author, window.floor))).await?;
        for stream in &streams {
            filled.streams.extend(stream.ids.iter().filter(|id| !known(id)));
        }
        self.merged.count(begun.elapsed(), streams.len(), from);

        window.entries.extend_from_slice(&filled.ring);
        window.entries.extend_from_slice(&filled.streams);
        window.floor = streams.iter().map(|s| s.floor).fold(window.floor.max(recent.floor), PostId::max);
        window.entries.retain(|id| *id > window.floor);
        window.entries.sort_unstable_by(|a, b| b.cmp(a));
        window.entries.dedup();
        window.cap(WINDOW_ENTRIES);
        window.position = position;
        window.stamp = view.follow.stamp;

        let slot = Arc::new(HomeSlot::new(Run::new(&window), Some(filled), saved));
        if set_again {
            let mut string = Vec::new();
            window.encode(&mut string);
            let (shard, string) = (self.shard.clone(), string.into());
            // A shard that does not take it loses nothing but work, and must not cost this reader a wait.
            tokio::spawn(tokio::time::timeout(SHARD_TIMEOUT, async move { shard.set(reader, string).await }));
        }
        self.save_if_due(reader, &slot, &snapshot);
        Ok(Ok(slot))
    }

    /// Hands the window to be saved as a checkpoint, once it is a quarter of the ring ahead of the last.
    pub(super) fn save_if_due(&self, reader: UserId, slot: &HomeSlot, snapshot: &Snapshot<'_>) {
        let quarter = (self.tier.ring.capacity() / 4) as u64;
        if slot.claim_checkpoint(snapshot.position, quarter) {
            self.checkpoints.offer(reader);
        }
    }
}
