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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::cache::CacheBytes;
    use crate::embedded::{EmbeddedStore, ProcessShard};
    use crate::model::{Digest, Epoch, NewSession, Refresh, Refreshed, SessionId};
    use crate::ports::Store;

    /// The store's clock stands still, so that a session which the janitor has not taken away would go on.
    #[tokio::test]
    async fn sessions_are_taken_away_once_they_have_ended() {
        const NOW: u64 = 1_767_225_600_000;
        let folder = tempfile::tempdir().expect("a folder");
        let still = Clock::Manual(Arc::new(AtomicU64::new(NOW)));
        let store = EmbeddedStore::open(folder.path(), still).expect("a new store");
        let user = store.make_user(&"ann".parse().expect("a handle"), "ann").await.expect("a user").card.id;
        let session = |n: u8, expires_at| NewSession {
            id: SessionId { user, family: Digest([n; 32]) },
            token: Digest([n; 32]),
            operator: false,
            expires_at: Millis(expires_at),
        };
        let (ended, living) = (session(1, NOW + 1_000), session(2, NOW + 3_000));
        for session in [&ended, &living] {
            store.begin_session(session).await.expect("it begins");
        }
        let bytes = CacheBytes { ring: 1 << 16, windows: 1 << 16, streams: 1 << 16, views: 1 << 16, posts: 1 << 16 };
        let (tier, _writer) = Tier::new(store.clone(), Epoch(1), &bytes, Position::ZERO);
        let later = Clock::Manual(Arc::new(AtomicU64::new(NOW + 2_000)));
        let shard = Arc::new(ProcessShard::new(1 << 16, later.clone()));
        Janitor::new(tier, shard, later).step().await.expect("the store removes");
        for (session, told) in [(ended, Refreshed::Unknown), (living, Refreshed::Next { operator: false })] {
            let NewSession { id, token, expires_at, .. } = session;
            let refresh = Refresh { id, spent: token, next: Digest([9; 32]), expires_at };
            assert_eq!(store.refresh_session(&refresh).await, Ok(told));
        }
    }
}
