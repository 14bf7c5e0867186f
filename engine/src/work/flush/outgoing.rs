//! Segments on their way to the shards. Whether they arrive changes no statement (law 2): a window without a segment does
//! not join the next one.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::FlushState;
use crate::limits::{APPEND_TIMEOUT, SEGMENTS_UNSENT, SENT_ASIDE_BYTES};
use crate::model::{PostId, UserId};
use crate::ports::{SegmentBatch, Shard, ShardError};
use crate::timeline::SegmentHeader;

/// The segments that wait to be sent, and those that are being sent.
pub(super) struct Outgoing {
    shard: Arc<dyn Shard>,
    batch: SegmentBatch,
    /// The batch that is on its way, and comes back empty; and whether it arrived.
    sending: Option<JoinHandle<(SegmentBatch, bool)>>,
    /// Whether the last batch did not arrive. Told when it begins and when it ends, not at every round.
    failing: bool,
    /// Spent in [`send`](Self::send) so far.
    sent_in: Duration,
    state: Arc<FlushState>,
}

impl Outgoing {
    /// What appends cost is counted in `state`.
    pub fn new(shard: Arc<dyn Shard>, state: Arc<FlushState>) -> Self {
        let (batch, sent_in) = (SegmentBatch::default(), Duration::ZERO);
        Self { shard, batch, sending: None, failing: false, sent_in, state }
    }

    /// How long rounds have waited for segments to be sent: what that cost is counted here, not with the rounds.
    pub fn sent_in(&self) -> Duration {
        self.sent_in
    }

    pub fn shard(&self) -> &dyn Shard {
        &*self.shard
    }

    /// A segment for `reader`.
    pub fn push(&mut self, reader: UserId, header: &SegmentHeader, posts: impl IntoIterator<Item = PostId>) {
        self.batch.push(reader, |out| header.encode(posts, out));
    }

    pub async fn send_if_many(&mut self) {
        if self.batch.len() >= SEGMENTS_UNSENT {
            self.send().await;
        }
    }

    /// Sends what there is, once what was being sent before has arrived. A small batch is on its way while the next round
    /// is made; a large one is waited for, for two of them at a time would not stay in the processor's cache.
    async fn send(&mut self) {
        let begun = Instant::now();
        let spare = match self.sending.take() {
            Some(sending) => {
                let (spare, arrived) = sending.await.unwrap_or_default();
                self.arrived(arrived);
                spare
            }
            None => SegmentBatch::default(),
        };
        if self.batch.bytes() > SENT_ASIDE_BYTES {
            let arrived = append(&*self.shard, &mut self.batch, &self.state).await;
            self.arrived(arrived);
        } else if !self.batch.is_empty() {
            let (shard, state) = (self.shard.clone(), self.state.clone());
            let mut batch = std::mem::replace(&mut self.batch, spare);
            self.sending = Some(tokio::spawn(async move {
                let arrived = append(&*shard, &mut batch, &state).await;
                (batch, arrived)
            }));
        }
        self.sent_in += begun.elapsed();
    }

    /// Sends what there is, and waits until it has arrived.
    pub async fn send_all(&mut self) {
        self.send().await;
        self.send().await;
    }

    fn arrived(&mut self, arrived: bool) {
        if self.failing == arrived {
            self.failing = !arrived;
            match arrived {
                true => tracing::info!("segments are appended again"),
                false => tracing::warn!("segments are not appended: their readers will be filled when they come"),
            }
        }
    }
}

/// Appends the batch, and empties it; whether all of it arrived.
async fn append(shard: &dyn Shard, batch: &mut SegmentBatch, state: &FlushState) -> bool {
    let begun = Instant::now();
    let sent = tokio::time::timeout(APPEND_TIMEOUT, shard.append(batch)).await;
    let sent = sent.unwrap_or_else(|_| Err(ShardError("no answer in time".to_owned())));
    if let Err(error) = &sent {
        tracing::debug!(%error, segments = batch.len(), "segments were not appended");
    }
    batch.clear();
    state.spent(begun.elapsed());
    sent.is_ok()
}
