//! Checkpoints: merged windows of active readers, saved in the read table, so that losing a shard (or the process)
//! costs a row a reader and not a pull. They are statements like all others (law 2): saving too few, twice or late
//! costs work, never an entry.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Stop, stopped};
use crate::cache::Tier;
use crate::limits::CHECKPOINT_QUEUE;
use crate::model::UserId;

/// Readers whose checkpoints go into one write.
const BATCH: usize = 256;

/// Where reads hand over readers whose checkpoint is due.
#[derive(Clone, Debug)]
pub struct CheckpointQueue(mpsc::Sender<UserId>);

impl CheckpointQueue {
    /// Asks for the reader's checkpoint to be saved. Where too many wait, it is forgotten.
    pub fn offer(&self, reader: UserId) {
        let _ = self.0.try_send(reader);
    }
}

/// Saves checkpoints.
pub struct Checkpointer {
    tier: Arc<Tier>,
    due: mpsc::Receiver<UserId>,
}

impl Checkpointer {
    /// A checkpointer over the L1 windows of `tier`, and its queue.
    pub fn new(tier: Arc<Tier>) -> (CheckpointQueue, Self) {
        let (offer, due) = mpsc::channel(CHECKPOINT_QUEUE);
        (CheckpointQueue(offer), Self { tier, due })
    }

    /// Saves those of the readers that still have an L1 window.
    ///
    /// # Errors
    /// What the store said.
    pub async fn save(tier: &Tier, readers: &[UserId]) -> Result<(), crate::ports::StoreError> {
        let mut checkpoints = Vec::with_capacity(readers.len());
        for &reader in readers {
            if let Some(slot) = tier.windows.peek(reader) {
                let mut string = Vec::new();
                slot.run().to_window(tier.epoch).encode(&mut string);
                checkpoints.push((reader, Bytes::from(string)));
            }
        }
        if checkpoints.is_empty() { Ok(()) } else { tier.store.save_checkpoints(&checkpoints).await }
    }

    /// Saves what is due now; how many readers that were.
    ///
    /// # Errors
    /// What the store said; the readers are forgotten until they are due again.
    pub async fn step(&mut self) -> Result<usize, crate::ports::StoreError> {
        let mut readers = Vec::new();
        while readers.len() < BATCH {
            let Ok(reader) = self.due.try_recv() else { break };
            readers.push(reader);
        }
        Self::save(&self.tier, &readers).await?;
        Ok(readers.len())
    }

    /// Goes on until stopped.
    pub async fn run(mut self, mut stop: Stop) {
        loop {
            let mut readers = Vec::new();
            tokio::select! {
                count = self.due.recv_many(&mut readers, BATCH) => if count == 0 { return },
                () = stopped(&mut stop) => return,
            }
            if let Err(error) = Self::save(&self.tier, &readers).await {
                tracing::warn!(%error, readers = readers.len(), "checkpoints were not saved");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
