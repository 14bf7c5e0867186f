//! A worker's share of the readers: every worker renews a lease, and those who hold one divide the slots among them.
//! Leases only save work (law 2): while two workers believe that a slot is theirs, both make true segments.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Stop, stopped};
use crate::limits::{LEASE_RENEW_EVERY, LEASE_TTL};
use crate::model::SlotRange;
use crate::ports::{Store, StoreError};

const ROLE: &str = "worker";

/// Renews the lease of one worker, and tells what its share is.
pub struct Share {
    store: Arc<dyn Store>,
    worker: u64,
    slots: watch::Sender<SlotRange>,
}

impl Share {
    /// Takes a share of the readers; all of them where the store does not answer yet.
    pub async fn take(store: Arc<dyn Store>) -> (Self, watch::Receiver<SlotRange>) {
        let (slots, told) = watch::channel(SlotRange::ALL);
        // Numbers fit into PostgreSQL's signed columns.
        let share = Self { store, worker: fastrand::u64(1..=i64::MAX as u64), slots };
        if let Err(error) = share.renew().await {
            tracing::warn!(%error, "no share of the readers is leased yet: this worker takes all");
        }
        (share, told)
    }

    /// Renews the lease, and tells of the share where it has changed.
    ///
    /// # Errors
    /// What the store said; the share stays what it was.
    pub async fn renew(&self) -> Result<(), StoreError> {
        let workers = self.store.lease(ROLE, self.worker, LEASE_TTL).await?;
        let place = workers.iter().position(|&worker| worker == self.worker).unwrap_or_default();
        let share = SlotRange::part(place, workers.len().max(1));
        self.slots.send_if_modified(|slots| {
            let changed = *slots != share;
            if changed {
                tracing::info!(
                    start = share.start,
                    end = share.end,
                    workers = workers.len(),
                    "this worker's share of the reader slots"
                );
            }
            *slots = share;
            changed
        });
        Ok(())
    }

    /// Renews until stopped; then gives the lease up, so that the others need not wait for its end.
    pub async fn run(self, mut stop: Stop) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LEASE_RENEW_EVERY) => {}
                () = stopped(&mut stop) => break,
            }
            if let Err(error) = self.renew().await {
                tracing::warn!(%error, "the lease on a share of the readers was not renewed; trying again");
            }
        }
        let given_up = tokio::time::timeout(LEASE_RENEW_EVERY, self.store.lease(ROLE, self.worker, Duration::ZERO));
        if !matches!(given_up.await, Ok(Ok(_))) {
            tracing::info!("the lease on a share of the readers was not given up; it runs out");
        }
    }
}
