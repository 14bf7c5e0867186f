//! A shard that keeps what is appended to it, so that a test can append it elsewhere at some later time.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::model::UserId;
use crate::ports::{SegmentBatch, Shard, ShardError, ShardState};

/// Holds batches of segments; has no strings.
#[derive(Default)]
pub struct HeldShard(Mutex<Vec<SegmentBatch>>);

impl HeldShard {
    /// What was appended and not yet taken out.
    pub fn batches(&self) -> MutexGuard<'_, Vec<SegmentBatch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Shard for HeldShard {
    async fn read(&self, _: UserId) -> Result<Option<Bytes>, ShardError> {
        Ok(None)
    }

    async fn set(&self, _: UserId, _: Bytes) -> Result<(), ShardError> {
        Ok(())
    }

    async fn append(&self, batch: &SegmentBatch) -> Result<(), ShardError> {
        self.batches().push(batch.clone());
        Ok(())
    }

    async fn sweep(&self) -> Result<(), ShardError> {
        Ok(())
    }

    fn states(&self) -> Vec<ShardState> {
        vec![ShardState { name: "held".into(), up: true }]
    }

    async fn read_popular(&self) -> Result<Option<Bytes>, ShardError> {
        Ok(None)
    }

    async fn set_popular(&self, _: Bytes) -> Result<(), ShardError> {
        Ok(())
    }

    async fn remove(&self, _: &[UserId]) -> Result<(), ShardError> {
        Ok(())
    }
}
