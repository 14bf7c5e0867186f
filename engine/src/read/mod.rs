//! Reads, in named stages: the skeleton (ids of a reader's timeline, from L1, ring and streams, or from the store
//! below them), hydration (posts), rules (who may see what), presentation (a page with its cursors).
//!
//! Rests on laws 1, 2, 5 and 8: a read is exact, never fails because a cache is down, and filters when a page is made.

mod fill;
mod forward;
mod home;
mod hydrate;
mod lists;
mod page;
mod since;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::cache::{HomeSlot, Tier};
use crate::limits::CONCURRENT_FILLS;
use crate::model::UserId;
use crate::ports::{Shard, StoreError};
use crate::timeline::Signer;
use crate::work::CheckpointQueue;

pub use crate::cache::Source;
pub use page::{Feed, FeedItem, Page, PageRequest, ReadError};

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

    /// L: microseconds to merge one author's stream at a fill; none before the first.
    pub fn l_us(&self) -> Option<f64> {
        let streams = self.merged.streams.load(Ordering::Relaxed);
        (streams > 0).then(|| self.merged.nanos.load(Ordering::Relaxed) as f64 / 1_000.0 / streams as f64)
    }

    /// The reader's L1 window, filled if there is none.
    async fn slot(&self, reader: UserId) -> Result<Arc<HomeSlot>, StoreError> {
        let reads = self.clone();
        self.tier.windows.get_or_load(reader, || async move { reads.fill(reader).await }).await
    }
}
