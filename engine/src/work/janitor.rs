//! The janitor: takes away what nobody needs any more, a little at a time (law 9).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Stop, stopped};
use crate::cache::Tier;
use crate::limits::IDEMPOTENCY_TTL;
use crate::model::{Millis, Position};
use crate::ports::{Clock, Removable, Shard, StoreError};

const ROWS: usize = 2_000;
const EVERY: Duration = Duration::from_secs(60);
/// How often the shard is swept.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// Removes expired keys and sessions, events that are older than the ring, and windows that nobody reads.
pub struct Janitor {
    tier: Arc<Tier>,
    shard: Arc<dyn Shard>,
    clock: Clock,
}

impl Janitor {
    /// A janitor.
    pub fn new(tier: Arc<Tier>, shard: Arc<dyn Shard>, clock: Clock) -> Self {
        Self { tier, shard, clock }
    }

    /// Removes up to a batch of rows; whether there may be more.
    ///
    /// # Errors
    /// What the store said.
    pub async fn step(&self) -> Result<bool, StoreError> {
        let ttl = IDEMPOTENCY_TTL.as_millis() as u64;
        let now = self.clock.now();
        let keys_before = Millis(now.0.saturating_sub(ttl));
        // Events are kept as long as the ring is long: a node's warm-up comes from them.
        let kept = self.tier.ring.capacity() as u64;
        let events_to = Position(self.tier.ring.position().0.saturating_sub(kept)).min(self.tier.ring.floor_position());
        let what = Removable { keys_before, events_to, sessions_before: now };
        Ok(self.tier.store.remove_old(what, ROWS).await? >= ROWS)
    }

    /// Goes on until stopped.
    pub async fn run(self, mut stop: Stop) {
        let mut swept = Instant::now();
        while !*stop.borrow() {
            if swept.elapsed() >= SWEEP_EVERY {
                swept = Instant::now();
                if let Err(error) = self.shard.sweep().await {
                    tracing::warn!(%error, "windows that nobody reads were not swept; trying again later");
                }
            }
            let more = self.step().await.unwrap_or_else(|error| {
                tracing::warn!(%error, "removing old rows failed; trying again later");
                false
            });
            let pause = if more { Duration::from_millis(20) } else { EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => {}
            }
        }
    }
}
