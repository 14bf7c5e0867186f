//! Reads, in named stages: the skeleton (ids of a reader's timeline, from L1, ring and streams, or from the store
//! below them), hydration (posts), rules (who may see what), presentation (a page with its cursors).
//!
//! Rests on laws 1, 2, 5 and 8: a read is exact, never fails because a cache is down, and filters when a page is made.

mod fill;
mod forward;
mod home;
mod hydrate;
mod lists;
mod live;
mod page;
mod popular;
mod since;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::cache::{HomeSlot, Tier};
use crate::limits::CONCURRENT_FILLS;
use crate::model::{Measured, UserId};
use crate::ports::{Shard, StoreError};
use crate::timeline::Signer;
use crate::work::CheckpointQueue;

pub use crate::cache::Source;
pub use live::{Live, LiveEvent, News};
pub use page::{Feed, FeedItem, Page, PageRequest, ReadError};
pub use popular::POPULAR_CURSOR_CHARS;

/// What reads work with. Cheap to clone.
#[derive(Clone)]
pub struct Reads {
    /// The in-process tier; through it, the store.
    pub tier: Arc<Tier>,
    /// The readers' windows.
    pub shard: Arc<dyn Shard>,
    /// Makes and checks cursors.
    pub signer: Signer,
    /// Takes windows whose checkpoint should be saved.
    pub checkpoints: CheckpointQueue,
    fills: Arc<Semaphore>,
    merged: Arc<Merged>,
}

/// What merging streams at fills has cost so far.
#[derive(Default)]
struct Merged {
    nanos: AtomicU64,
    streams: AtomicU64,
    /// Fills, but for those from the store, whose pull has the posts of hot authors too.
    fills: AtomicU64,
}

impl Merged {
    fn count(&self, took: Duration, streams: usize, from: Source) {
        if streams > 0 {
            self.nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
            self.streams.fetch_add(streams as u64, Ordering::Relaxed);
        }
        self.fills.fetch_add(u64::from(from != Source::Store), Ordering::Relaxed);
    }
}

impl Reads {
    /// Reads over these caches.
    pub fn new(tier: Arc<Tier>, shard: Arc<dyn Shard>, signer: Signer, checkpoints: CheckpointQueue) -> Self {
        Self {
            tier,
            shard,
            signer,
            checkpoints,
            fills: Arc::new(Semaphore::new(CONCURRENT_FILLS)),
            merged: Arc::default(),
        }
    }

    /// What merging streams at fills has cost since the start.
    pub fn measured(&self) -> Measured {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed) as f64;
        let Merged { nanos, streams, fills } = &*self.merged;
        Measured { merge_ns: count(nanos), streams: count(streams), fills: count(fills), ..Measured::default() }
    }

    /// The reader's L1 window, filled if there is none.
    async fn slot(&self, reader: UserId) -> Result<Arc<HomeSlot>, StoreError> {
        let reads = self.clone();
        self.tier.windows.get_or_load(reader, || async move { reads.fill(reader).await }).await
    }
}
