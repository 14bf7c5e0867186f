//! Appending what a round came to, and counting what that costs.

use tokio::time::{Instant, timeout};

use super::FlushState;
use crate::limits::APPEND_TIMEOUT;
use crate::ports::{SegmentBatch, Shard, ShardError};

/// Appends the batch, and empties it. Whether it succeeds changes no statement: a window without the segment does not
/// join the next one.
pub(super) async fn append(shard: &dyn Shard, batch: &mut SegmentBatch, state: &FlushState) {
    let begun = Instant::now();
    let sent = timeout(APPEND_TIMEOUT, shard.append(batch)).await;
    if let Err(error) = sent.unwrap_or_else(|_| Err(ShardError("no answer in time".to_owned()))) {
        tracing::warn!(%error, segments = batch.len(), "segments were not appended; their readers will be filled");
    }
    batch.clear();
    state.spent(begun.elapsed());
}
